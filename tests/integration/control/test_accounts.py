"""Accounts through the real app: who comes in, who does not, and how long a session lives."""

from __future__ import annotations

import asyncio

import pytest

from gateway.control.accounts import actions
from tests.support.control import PASSWORD, Control, code_of, log_in, post, register

#: Fields and values that register refuses.
WRONG = [
    ("email", "nobody"),
    ("email", "a b@example.org"),
    ("email", "a@example"),
    ("email", "a@example.org\n"),
    ("email", "a\x00@example.org"),
    ("email", "x" * 250 + "@example.org"),
    ("password", "seven77"),
    ("password", "x" * 257),
    ("username", "ad"),
    ("username", "a da"),
    ("username", "ada@home"),
    ("username", "ada\n"),
    ("username", "x" * 33),
    ("is_admin", True),
]
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


async def test_register_logs_in_when_all_is_right(control: Control) -> None:
    me = await register(control.http, "ada")
    assert (await control.http.get("/v1/me")).json() == me
    assert me["username"] == "ada" and me["email"] == "ada@example.org"
    assert me["sellers"] == [] and me["permissions"] == []
    assert [e["type"] for e in await control.events()] == ["auth.register"]


async def test_session_cookie_has_its_guards_when_given(control: Control) -> None:
    body = {"email": "a@example.org", "username": "ada", "password": PASSWORD}
    answer = await post(control.http, "auth/register", **body)
    cookies = answer.headers.get_list("set-cookie")
    assert [c.partition("=")[0] for c in cookies] == ["usher_session", "usher_device"]
    for cookie in cookies:
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; ")) and "Secure" not in cookie


async def test_register_is_refused_when_a_field_is_wrong(control: Control) -> None:
    body: dict[str, object] = {"email": "a@example.org", "username": "ada", "password": PASSWORD}
    for field, value in WRONG:
        assert code_of(await post(control.http, "auth/register", **body | {field: value})) == (422, "invalid"), field
    assert await control.rows("select id from principal") == []


@pytest.mark.parametrize(
    ("email", "username", "code"),
    [("ADA@Example.org", "other", "email-taken"), ("other@example.org", "Ada", "username-taken")],
)
async def test_register_is_refused_when_name_or_mail_is_taken(
    control: Control, email: str, username: str, code: str
) -> None:
    await register(control.http, "ada")
    body = {"email": email, "username": username, "password": PASSWORD}
    assert code_of(await post(control.browser(), "auth/register", **body)) == (409, code)
    assert len(await control.rows("select id from principal")) == 1


async def test_one_of_many_registers_when_all_want_the_same_name(control: Control) -> None:
    bodies = [{"email": f"{n}@example.org", "username": "ada", "password": PASSWORD} for n in range(8)]
    answers = await asyncio.gather(*(post(control.browser(), "auth/register", **body) for body in bodies))
    assert sorted(a.status_code for a in answers) == [201] + [409] * 7


async def test_login_works_when_given_name_or_mail(control: Control) -> None:
    await register(control.http, "ada")
    for login in ("ada", "ADA", "ada@example.org", "Ada@EXAMPLE.org", " ada "):
        other = control.browser()
        assert (await log_in(other, login))["username"] == "ada"
        assert (await other.get("/v1/me")).status_code == 200


@pytest.mark.parametrize(
    ("login", "password"),
    [("ada", "wrong password"), ("nobody", PASSWORD), ("nobody@example.org", PASSWORD), ("", "")],
)
async def test_login_is_refused_alike_when_name_or_password_is_wrong(
    control: Control, login: str, password: str
) -> None:
    await register(control.http, "ada")
    answer = await post(control.browser(), "auth/login", login=login, password=password)
    assert code_of(answer) == (401, "wrong-login") and "set-cookie" not in answer.headers
    assert answer.json()["detail"] == "There is no account with this login and password."


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("auth/login", {"login": "a\x00da", "password": PASSWORD}),
        ("auth/forgot", {"email": "a\x00@example.org"}),
        ("auth/reset", {"token": "\x00", "password": PASSWORD}),
    ],
)
async def test_zero_byte_is_refused_when_sent(control: Control, path: str, body: dict[str, str]) -> None:
    assert code_of(await control.http.post(f"/v1/{path}", json=body)) == (422, "invalid")


async def test_login_renews_the_session_when_one_came_along(control: Control) -> None:
    await register(control.http, "ada")
    old, device = control.http.cookies["usher_session"], control.http.cookies["usher_device"]
    await log_in(control.http, "ada")
    assert control.http.cookies["usher_session"] != old and control.http.cookies["usher_device"] == device
    assert (await control.browser(Cookie=f"usher_session={old}").get("/v1/me")).status_code == 401
    assert len(await control.rows("select id from login")) == 1


async def test_session_ends_when_somebody_else_logs_in_in_the_same_browser(control: Control) -> None:
    await register(control.browser(), "eve")
    await register(control.http, "ada")
    old = control.http.cookies["usher_session"]
    assert (await log_in(control.http, "eve"))["username"] == "eve"
    assert (await control.browser(Cookie=f"usher_session={old}").get("/v1/me")).status_code == 401


async def test_bearer_is_a_session_of_its_own_when_asked_for(control: Control) -> None:
    await register(control.http, "ada")
    body = {"login": "ada", "password": PASSWORD, "bearer": True}
    answer = await control.http.post("/v1/auth/login", json=body)
    program = control.browser(
        Authorization=f"Bearer {answer.json()['bearer_token']}", Origin="https://elsewhere.example"
    )
    assert "set-cookie" not in answer.headers
    assert (await program.patch("/v1/me", json={"username": "ada2"})).status_code == 200
    assert (await control.http.get("/v1/me")).json()["username"] == "ada2"


async def test_session_ends_when_logged_out(control: Control) -> None:
    await register(control.http, "ada")
    session = control.http.cookies["usher_session"]
    answer = await control.http.post("/v1/auth/logout")
    assert answer.status_code == 204 and "usher_session" not in control.http.cookies
    assert (await control.browser(Cookie=f"usher_session={session}").get("/v1/me")).status_code == 401
    assert (await control.http.post("/v1/auth/logout")).status_code == 204
    assert [e["type"] for e in await control.events()] == ["auth.register", "auth.logout"]


async def test_forged_session_is_nobody_when_one_bit_differs(control: Control) -> None:
    await register(control.http, "ada")
    session = control.http.cookies["usher_session"]
    assert (await control.browser(Authorization=f"Bearer {session}").get("/v1/me")).status_code == 200
    for at in range(len(session)):
        for other in {"A", "B", "_", ".", "=", " "} - {session[at]}:
            forged = session[:at] + other + session[at + 1 :]
            assert control.wiring["sessions"].read(forged) is None, forged
    for forged in ("", ".", session + "=", session + "A", session.replace(".", ".."), session.partition(".")[0] + "."):
        assert control.wiring["sessions"].read(forged) is None, forged
    forged = session[:-1] + ("A" if session[-1] != "A" else "B")
    answer = await control.browser(Cookie=f"usher_session={forged}").get("/v1/me")
    assert code_of(answer) == (401, "unauthenticated") and answer.headers["www-authenticate"].startswith("Bearer")


async def test_session_lives_on_while_used_and_ends_when_not(control: Control) -> None:
    ttl_s = control.settings.session_token_ttl
    await register(control.http, "ada")
    for _ in range(3):
        control.clock.advance(ttl_s - 1)
        assert (await control.http.get("/v1/me")).status_code == 200
    control.clock.advance(ttl_s)
    assert (await control.http.get("/v1/me")).status_code == 401


async def test_last_seen_is_written_at_most_once_a_minute(control: Control) -> None:
    await register(control.http, "ada")
    seen = "select last_seen, expires_at from login"
    first = await control.rows(seen)
    control.clock.advance(59)
    await control.http.get("/v1/me")
    assert await control.rows(seen) == first
    control.clock.advance(2)
    await control.http.get("/v1/me")
    assert (await control.rows(seen))[0]["last_seen"] == control.clock.now()


async def test_expired_logins_and_links_are_dropped_when_swept(control: Control) -> None:
    await register(control.http, "ada")
    await post(control.http, "auth/forgot", email="ada@example.org")
    control.clock.advance(7201)
    async with control.wiring["begin"]() as unit:
        await actions.sweep(accounts=unit.accounts, clock=control.clock)
    assert await control.rows("select token_hash from password_reset") == []
    assert len(await control.rows("select id from login")) == 1
    control.clock.advance(control.settings.session_token_ttl)
    async with control.wiring["begin"]() as unit:
        await actions.sweep(accounts=unit.accounts, clock=control.clock)
    assert await control.rows("select id from login") == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_write_by_cookie_is_refused_when_from_another_site(control: Control, headers: dict[str, str]) -> None:
    await register(control.http, "ada")
    answer = await control.http.patch("/v1/me", json={"username": "eve"}, headers=headers)
    assert code_of(answer) == (403, "cross-site")
    assert (await control.http.get("/v1/me", headers=headers)).json()["username"] == "ada"


async def test_devices_are_listed_and_one_is_logged_out_at_once(control: Control) -> None:
    await register(control.http, "ada")
    phone = control.browser("2001:db8:1:2:3::4", **{"User-Agent": FIREFOX})
    await log_in(phone, "ada")
    control.clock.advance(120)
    await phone.get("/v1/me")
    devices = (await phone.get("/v1/me/devices")).json()["items"]
    assert [(d["name"], d["place"], d["current"]) for d in devices] == [
        ("Firefox on Linux", "2001:db8:1::/48", True),
        ("python-httpx2", "127.0.0.0/24", False),
    ]
    assert (await control.http.delete(f"/v1/me/devices/{devices[0]['id']}")).status_code == 204
    assert (await phone.get("/v1/me")).status_code == 401
    assert (await control.http.get("/v1/me")).status_code == 200


async def test_device_of_somebody_else_is_not_found_when_revoked(control: Control) -> None:
    await register(control.http, "ada")
    eve = control.browser()
    await register(eve, "eve")
    device = (await control.http.get("/v1/me/devices")).json()["items"][0]["id"]
    for name in (device, "dev_0"):
        assert code_of(await eve.delete(f"/v1/me/devices/{name}")) == (404, "not-found")
    assert code_of(await eve.delete("/v1/me/devices/%00")) == (404, "not-found")
    assert (await control.http.get("/v1/me")).status_code == 200


async def test_principal_keeps_its_device_when_logging_in_again(control: Control) -> None:
    await register(control.http, "ada")
    first = await control.wiring["finder"].find(control.http.cookies["usher_session"])
    await log_in(control.http, "ada")
    again = await control.wiring["finder"].find(control.http.cookies["usher_session"])
    assert first and again and first.device == again.device and first.login != again.login
    assert first.sub == again.sub and first.sub != first.id
