"""The portal through the real app: set up once, furnished by admins, shown to all."""

from __future__ import annotations

import asyncio

from tests.support.control import PASSWORD, Control, code_of, make_admin, post, register

SETUP = {"username": "boss", "email": "boss@example.org", "password": PASSWORD, "portal_name": "Corner Cinema"}
#: Changes that are refused.
WRONG: list[dict[str, object]] = [
    {"accent": "red"},
    {"accent": "#12345"},
    {"accent": "#123456;x"},
    {"accent_dark": "#123456\n"},
    {"fee_bp": -1},
    {"fee_bp": 10_001},
    {"fee_bp": 1.5},
    {"currency": "usd"},
    {"name": ""},
    {"name": "a\x00b"},
    {"logo_url": "http://example.org/logo.png"},
    {"logo_url": "//example.org/logo.png"},
    {"logo_url": "javascript:alert(1)"},
    {"logo_url": '/logo.png" onload="'},
    {"legal_text": "\x00"},
    {"legal_text": "x" * 50_001},
    {"legal_html": "<p>"},
]


async def test_first_admin_is_made_and_logged_in_when_there_is_none(control: Control) -> None:
    assert (await control.http.get("/v1/portal")).json()["needs_setup"] is True
    answer = await post(control.http, "setup", **SETUP)
    assert answer.status_code == 201 and answer.json()["permissions"] == ["*"]
    assert (await control.http.get("/v1/me")).json()["username"] == "boss"
    portal = (await control.http.get("/v1/portal")).json()
    assert portal["name"] == "Corner Cinema" and portal["needs_setup"] is False


async def test_set_up_is_refused_when_somebody_is_admin(control: Control) -> None:
    await post(control.http, "setup", **SETUP)
    second = SETUP | {"username": "eve", "email": "eve@example.org"}
    assert code_of(await post(control.browser(), "setup", **second)) == (409, "set-up")
    assert len(await control.rows("select id from principal")) == 1


async def test_one_admin_is_made_when_many_set_up_at_once(control: Control) -> None:
    each = [SETUP | {"username": f"boss{n}", "email": f"{n}@example.org"} for n in range(6)]
    answers = await asyncio.gather(*(post(control.browser(), "setup", **body) for body in each))
    assert sorted(a.status_code for a in answers) == [201] + [409] * 5
    assert len(await control.rows("select * from assignment")) == 1


async def test_portal_changes_what_is_given_and_keeps_the_rest(control: Control) -> None:
    await post(control.http, "setup", **SETUP)
    legal = "Terms & <b>conditions</b>\nof use\n\n\n  Imprint: Ada, 1 Example Road  "
    answer = await control.http.put("/v1/portal", json={"accent": "#00AA77", "fee_bp": 500, "legal_text": legal})
    assert answer.status_code == 200
    portal = (await control.browser().get("/v1/portal")).json()
    assert portal == answer.json() and portal["name"] == "Corner Cinema"
    assert portal["accent"] == "#00AA77" and portal["fee_bp"] == 500 and portal["legal_text"] == legal
    assert portal["legal_html"] == (
        "<p>Terms &amp; &lt;b&gt;conditions&lt;/b&gt;<br>of use</p><p>Imprint: Ada, 1 Example Road</p>"
    )
    audit = (await control.rows("select before, after from audit where action = 'portal.change'"))[0]
    assert audit["after"]["fee_bp"] == 500 and audit["before"]["fee_bp"] == 1000 and "name" not in audit["after"]
    assert "Example Road" not in str(await control.events())


async def test_portal_is_refused_when_a_field_is_wrong(control: Control) -> None:
    await make_admin(control, (await register(control.http, "boss"))["id"])
    before = (await control.http.get("/v1/portal")).json()
    for change in WRONG:
        assert code_of(await control.http.put("/v1/portal", json=change)) == (422, "invalid"), change
    control.clock.advance(2)
    assert (await control.http.get("/v1/portal")).json() == before


async def test_logo_is_taken_when_its_address_is_safe(control: Control) -> None:
    await make_admin(control, (await register(control.http, "boss"))["id"])
    for logo in ("", "/static/logo.svg", "https://example.org/logo.png?size=2"):
        assert (await control.http.put("/v1/portal", json={"logo_url": logo})).json()["logo_url"] == logo


async def test_portal_is_changed_by_admins_alone(control: Control) -> None:
    assert (await control.http.put("/v1/portal", json={"fee_bp": 0})).status_code == 401
    me = await register(control.http, "ada")
    assert (await control.http.put("/v1/portal", json={"fee_bp": 0})).status_code == 403
    await make_admin(control, me["id"], "moderator")
    assert (await control.http.put("/v1/portal", json={"fee_bp": 0})).status_code == 403


async def test_change_elsewhere_is_seen_when_two_seconds_passed(control: Control) -> None:
    assert (await control.http.get("/v1/portal")).json()["name"] == "Usher"
    await control.rows("update portal set name = 'Other'")
    control.clock.advance(1.9)
    assert (await control.http.get("/v1/portal")).json()["name"] == "Usher"
    control.clock.advance(0.1)
    assert (await control.http.get("/v1/portal")).json()["name"] == "Other"
