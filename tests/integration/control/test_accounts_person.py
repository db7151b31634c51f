"""Oneself: changed, taken away as data, deleted."""

from __future__ import annotations

import pytest

from tests.support.control import PASSWORD, Control, code_of, log_in, make_admin, make_seller, post, register
from tests.support.ledger import Books


async def test_username_changes_when_free(control: Control) -> None:
    await register(control.http, "ada")
    await register(control.browser(), "eve")
    assert (await control.http.patch("/v1/me", json={"username": "lovelace"})).json()["username"] == "lovelace"
    assert code_of(await control.http.patch("/v1/me", json={"username": "EVE"})) == (409, "username-taken")
    assert (await control.http.patch("/v1/me", json={"email": "ada@example.org"})).status_code == 200


@pytest.mark.parametrize("change", [{"email": "new@example.org"}, {"password": "a new password"}])
async def test_mail_and_password_change_when_the_password_is_given(control: Control, change: dict[str, str]) -> None:
    await register(control.http, "ada")
    for wrong in ({}, {"current_password": "wrong"}):
        assert code_of(await control.http.patch("/v1/me", json=change | wrong)) == (403, "wrong-password")
    answer = await control.http.patch("/v1/me", json=change | {"current_password": PASSWORD})
    assert answer.status_code == 200 and (await control.http.get("/v1/me")).status_code == 200
    await log_in(control.browser(), change.get("email", "ada"), change.get("password", PASSWORD))


async def test_other_devices_are_logged_out_when_the_password_changes(control: Control) -> None:
    await register(control.http, "ada")
    other = control.browser()
    await log_in(other, "ada")
    await control.http.patch("/v1/me", json={"password": "a new password", "current_password": PASSWORD})
    assert (await other.get("/v1/me")).status_code == 401
    assert (await control.http.get("/v1/me")).status_code == 200


async def test_password_cannot_be_guessed_when_a_session_was_stolen(control: Control) -> None:
    await register(control.http, "ada")
    answers = [await control.http.request("DELETE", "/v1/me", json={"password": "wrong"}) for _ in range(21)]
    assert [a.status_code for a in answers] == [403] * 20 + [429]


async def test_export_holds_everything_of_oneself(control: Control) -> None:
    me = await register(control.http, "ada")
    await make_seller(control.http, "films")
    await post(control.http, "auth/forgot", email="ada@example.org")
    answer = await control.http.get("/v1/me/export")
    data = answer.json()
    assert answer.headers["content-disposition"] == 'attachment; filename="my-data.json"'
    assert data["account"][0]["email"] == "ada@example.org" and data["principal"][0]["id"] == me["id"]
    assert data["sellers"][0]["handle"] == "films" and data["roles"][0]["role"] == "owner"
    assert len(data["devices"]) == 1 and data["entitlements"] == [] and data["uploads"] == []
    assert "hash" not in answer.text and "argon2" not in answer.text


async def test_nothing_tells_who_it_was_when_an_account_is_deleted(control: Control) -> None:
    me = await register(control.http, "zoe-lovelace")
    await make_seller(control.http, "films")
    await make_admin(control, me["id"], "support")
    await post(control.http, "auth/forgot", email="zoe-lovelace@example.org")
    session = control.http.cookies["usher_session"]
    answer = await control.http.request("DELETE", "/v1/me", json={"password": PASSWORD})
    assert answer.status_code == 204 and "usher_session" not in control.http.cookies
    assert (await control.browser(Cookie=f"usher_session={session}").get("/v1/me")).status_code == 401
    for table in ("account", "login", "assignment", "password_reset"):
        assert await control.rows(f"select * from {table}") == []  # noqa: S608 - names of ours
    assert (await control.rows("select deleted_at from principal"))[0]["deleted_at"] == control.clock.now()
    pushed = await control.rows("select subject, data from outbox where topic = 'push'")
    assert pushed[0]["data"]["kind"] == "sub"
    everything = str(await control.rows("select * from outbox")) + str(await control.rows("select * from audit"))
    assert "zoe-lovelace" not in everything and "example.org" not in everything
    await register(control.browser(), "zoe-lovelace")


async def test_delete_is_refused_when_nobody_else_owns_published_titles(control: Control) -> None:
    await register(control.http, "ada")
    await register(control.browser(), "eve")
    seller = await make_seller(control.http, "films")
    await control.rows(
        "insert into title (id, seller, kind, short_id, short_folded, slug, name, state)"
        " values ('ttl_1', $1, 'video', 'abcd', 'abcd', 'a', 'A', 'published')",
        seller["id"],
    )
    answer = await control.http.request("DELETE", "/v1/me", json={"password": PASSWORD})
    assert code_of(answer) == (409, "only-owner") and "Films" in answer.json()["detail"]
    await control.http.put("/v1/sellers/films/members/eve", json={"role": "owner"})
    assert (await control.http.request("DELETE", "/v1/me", json={"password": PASSWORD})).status_code == 204
    assert len(await control.rows("select id from title")) == 1


@pytest.mark.parametrize("kind", ["earnings", "earnings_pending", "payout_in_transit"])
async def test_delete_is_refused_while_a_seller_that_nobody_else_owns_has_money(control: Control, kind: str) -> None:
    await register(control.http, "ada")
    await register(control.browser(), "eve")
    seller = await make_seller(control.http, "films")
    await Books(control.wiring["pool"]).fund(1, f"{kind}__{seller['id']}")
    answer = await control.http.request("DELETE", "/v1/me", json={"password": PASSWORD})
    assert code_of(answer) == (409, "earnings-left")
    assert all(words in answer.json()["detail"] for words in ("Films", "0.01 USD", "take it out", "owner"))
    await control.http.put("/v1/sellers/films/members/eve", json={"role": "owner"})
    assert (await control.http.request("DELETE", "/v1/me", json={"password": PASSWORD})).status_code == 204
