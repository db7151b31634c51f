"""Guests, who may little, and roles, which admins give and take."""

from __future__ import annotations

import asyncio

from gateway.control.accounts import actions
from gateway.control.accounts.model import Browser
from tests.support.control import PASSWORD, Control, code_of, make_admin, post, register


async def test_guest_may_nothing_when_a_name_is_needed(control: Control) -> None:
    async with control.wiring["begin"]() as unit:
        guest, opened = await actions.ensure_guest(
            None,
            browser=Browser("x" * 22, "a browser", ""),
            accounts=unit.accounts,
            sessions=control.wiring["sessions"],
        )
        again, nothing = await actions.ensure_guest(
            guest,
            browser=Browser("x" * 22, "a browser", ""),
            accounts=unit.accounts,
            sessions=control.wiring["sessions"],
        )
    assert opened and guest.kind == "guest" and guest.device == "x" * 22 and again == guest and nothing is None
    browser = control.browser(Cookie=f"usher_session={opened.signed}")
    assert await control.wiring["finder"].find(opened.signed) == guest
    assert (await browser.get("/v1/me")).status_code == 401
    assert code_of(await post(browser, "sellers", name="Films", handle="films")) == (401, "unauthenticated")


async def test_roles_are_given_and_taken_by_admins_alone(control: Control) -> None:
    ada = await register(control.http, "ada")
    eve_browser = control.browser()
    eve = await register(eve_browser, "eve")
    await make_admin(control, ada["id"])
    path = "/v1/accounts/Eve/roles/moderator"
    assert (await eve_browser.put(path)).status_code == 403
    assert (await control.http.put(path)).status_code == 204
    assert "title:takedown" in (await eve_browser.get("/v1/me")).json()["permissions"]
    assert (await eve_browser.put("/v1/accounts/eve/roles/admin")).status_code == 403
    assert (await control.http.delete(path)).status_code == 204
    assert (await eve_browser.get("/v1/me")).json()["permissions"] == []
    audit = await control.rows("select actor, action, object, place from audit where actor <> 'system' order by seq")
    assert [(a["actor"], a["action"], a["object"], a["place"]) for a in audit] == [
        (ada["id"], "role.give", eve["id"], "127.0.0.0/24"),
        (ada["id"], "role.take", eve["id"], "127.0.0.0/24"),
    ]
    assert len(await control.events("admin.action")) == 3


async def test_roles_are_refused_when_account_or_role_is_none(control: Control) -> None:
    await make_admin(control, (await register(control.http, "ada"))["id"])
    assert (await control.http.put("/v1/accounts/nobody/roles/moderator")).status_code == 404
    assert (await control.http.put("/v1/accounts/ada/roles/owner")).status_code == 404
    assert (await control.http.delete("/v1/accounts/ada/roles/moderator")).status_code == 404


async def test_last_admin_stays_admin(control: Control) -> None:
    ada = await register(control.http, "ada")
    other = control.browser()
    eve = await register(other, "eve")
    await make_admin(control, ada["id"])
    assert code_of(await control.http.delete("/v1/accounts/ada/roles/admin")) == (409, "last-admin")
    await make_admin(control, eve["id"])
    both = [http.delete(f"/v1/accounts/{n}/roles/admin") for http, n in ((control.http, "eve"), (other, "ada"))]
    answers = await asyncio.gather(*both)
    assert sorted(a.status_code for a in answers) in ([204, 409], [204, 403])
    assert len(await control.rows("select * from assignment where role = 'admin'")) == 1


async def test_last_admin_stays_when_it_would_delete_its_account(control: Control) -> None:
    ada = await register(control.http, "ada")
    other = control.browser()
    eve = await register(other, "eve")
    await make_admin(control, ada["id"])
    leave = {"json": {"password": PASSWORD}}
    assert code_of(await control.http.request("DELETE", "/v1/me", **leave)) == (409, "last-admin")
    assert (await control.http.get("/v1/portal")).json()["needs_setup"] is False
    await make_admin(control, eve["id"])
    both = (http.request("DELETE", "/v1/me", **leave) for http in (control.http, other))
    assert sorted(answer.status_code for answer in await asyncio.gather(*both)) == [204, 409]
