"""The check for bots at register: a proof of work is right, fresh and used once; Turnstile is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

import msgspec
import pytest

from gateway.control.accounts.adapters.bots import Turnstile
from shared.clock import ManualClock
from shared.errors import Invalid, Unavailable
from shared.settings import ControlSettings
from tests.support.control import PASSWORD, Control, code_of, register, running_control, solve

BODY = {"email": "ada@example.org", "username": "ada", "password": PASSWORD}


@pytest.fixture
async def guarded(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Control]:
    """A control plane that asks for work."""
    asked = msgspec.structs.replace(settings, bot_check="pow", bot_check_bits=8)
    async with running_control(asked, clock) as running:
        yield running


async def _proof(control: Control) -> str:
    challenge = (await control.http.get("/v1/auth/challenge")).json()
    assert challenge["kind"] == "pow" and challenge["bits"] == 8
    return solve(challenge["challenge"], challenge["bits"])


async def test_nothing_is_asked_when_the_check_is_off(control: Control) -> None:
    assert (await control.http.get("/v1/auth/challenge")).json() == {"kind": "off"}
    await register(control.http, "ada")


async def test_register_works_when_the_work_was_done(guarded: Control) -> None:
    proof = await _proof(guarded)
    assert (await guarded.http.post("/v1/auth/register", json=BODY | {"proof": proof})).status_code == 201


async def test_register_is_refused_when_the_work_is_missing_or_wrong(guarded: Control) -> None:
    proof = await _proof(guarded)
    challenge, _, nonce = proof.rpartition(".")
    ends, bits, drawn, mac = challenge.split(".")
    wrong = [
        "",
        "x",
        "....",
        challenge,
        f"{ends}.0.{drawn}.{mac}.{nonce}",
        f"{int(ends) + 9999}.{bits}.{drawn}.{mac}.{nonce}",
        solve("9999999999.8.00.00", 8),
        next(f"{challenge}.{n}" for n in range(999) if not solve(challenge, 8, start=n).endswith(f".{n}")),
    ]
    for answer in wrong:
        refused = await guarded.http.post("/v1/auth/register", json=BODY | {"proof": answer})
        assert code_of(refused) == (422, "bot-check"), answer
    assert await guarded.rows("select id from principal") == []


async def test_register_is_refused_when_the_work_was_used(guarded: Control) -> None:
    proof = await _proof(guarded)
    assert (await guarded.http.post("/v1/auth/register", json=BODY | {"proof": proof})).status_code == 201
    second = {"email": "eve@example.org", "username": "eve", "password": PASSWORD, "proof": proof}
    assert code_of(await guarded.browser().post("/v1/auth/register", json=second)) == (422, "bot-check")


async def test_register_is_refused_when_the_challenge_is_old(guarded: Control) -> None:
    proof = await _proof(guarded)
    guarded.clock.advance(600)
    assert code_of(await guarded.http.post("/v1/auth/register", json=BODY | {"proof": proof})) == (422, "bot-check")


@pytest.fixture
def turnstile() -> Iterator[str]:
    """A server that answers as Turnstile's does: it knows one secret and one good response."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            good = (
                asked["secret"] == ["s3cret"] and asked["response"] == ["good"] and asked["remoteip"] == ["192.0.2.1"]
            )
            body = json.dumps({"success": good}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_turnstile_is_asked_when_it_is_the_check(turnstile: str) -> None:
    check = Turnstile("site", "s3cret", url=turnstile)
    assert (await check.challenge()).site_key == "site"
    await check.check("good", address="192.0.2.1")
    with pytest.raises(Invalid):
        await check.check("bad", address="192.0.2.1")


async def test_nobody_registers_when_turnstile_does_not_answer() -> None:
    with pytest.raises(Unavailable):
        await Turnstile("site", "s3cret", url="http://127.0.0.1:9/").check("good", address="192.0.2.1")
