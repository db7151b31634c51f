"""What every route does before its handler: limits, sizes, content types, unknown fields, proxies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from redis.asyncio import Redis

from shared.clock import ManualClock
from shared.errors import Unavailable
from shared.metrics import LIMITED, LIMITS_OPEN
from shared.settings import ControlSettings
from tests.support.control import PASSWORD, Control, code_of, log_in, make_admin, register, running_control
from tests.support.titles import desk
from tests.support.wire import wire_to

#: Bodies that are not what login takes.
WRONG = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"\xff\xfe",
    b'{"login": "x"}',
    b'{"login": 1, "password": "x"}',
    b'{"login": "x", "password": "y", "admin": true}',
    b'{"login": "\\ud800", "password": "y"}',
    b"[" * 5000,
]


@pytest.fixture
async def deaf(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Control]:
    """A control plane whose Redis is dead."""
    async with running_control(msgspec.structs.replace(settings, redis_url="redis://127.0.0.1:9/0"), clock) as running:
        yield running


async def test_limit_is_told_and_held_when_one_address_asks_too_much(control: Control) -> None:
    before = LIMITED.labels("login")._value.get()
    body = {"login": "x", "password": "y"}
    first = await control.http.post("/v1/auth/login", json=body)
    assert first.headers["ratelimit-policy"] == '"login";q=30;w=60'
    assert first.headers["ratelimit"] == '"login";r=29;t=2'
    bodies = [body | {"login": f"x{n}"} for n in range(50)]  # a slow machine gets one back each two seconds
    answers = await asyncio.gather(*(control.http.post("/v1/auth/login", json=each) for each in bodies))
    codes = [answer.status_code for answer in answers]
    assert set(codes) == {401, 429} and codes.count(401) >= 29
    refused = next(a for a in answers if a.status_code == 429)
    assert code_of(refused) == (429, "too-many") and 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["ratelimit"].startswith('"login";r=0;')
    assert refused.headers["content-type"] == "application/problem+json"
    assert LIMITED.labels("login")._value.get() == before + codes.count(429)
    assert (await control.browser("203.0.113.9").post("/v1/auth/login", json=body)).status_code == 401
    assert (await control.http.get("/v1/portal")).status_code == 200


async def test_limit_belongs_to_the_principal_when_one_is_logged_in(control: Control) -> None:
    await register(control.http, "ada")
    await register(eve := control.browser(), "eve")
    answers = await asyncio.gather(*(control.http.patch("/v1/me", json={}) for _ in range(45)))
    assert {a.status_code for a in answers} == {200, 429}
    assert (await eve.patch("/v1/me", json={})).status_code == 200
    elsewhere = control.browser("203.0.113.9", Cookie=f"usher_session={control.http.cookies['usher_session']}")
    answers = await asyncio.gather(*(elsewhere.patch("/v1/me", json={}) for _ in range(15)))
    assert 429 in {a.status_code for a in answers}


async def test_limit_is_wider_when_the_role_works_in_bulk(control: Control) -> None:
    await make_admin(control, (await register(control.http, "boss"))["id"])
    answer = await control.http.get("/v1/flags")
    assert answer.headers["ratelimit-policy"] == '"list_flags";q=3000;w=60'


async def test_requests_pass_and_are_counted_when_redis_is_dead(deaf: Control) -> None:
    before = LIMITS_OPEN._value.get()
    await register(deaf.http, "ada")
    answer = await deaf.http.get("/v1/me")
    assert answer.status_code == 200 and "ratelimit" not in answer.headers
    assert LIMITS_OPEN._value.get() == before + 2
    for _ in range(21):
        wrong = await deaf.browser().post("/v1/auth/login", json={"login": "ada", "password": "wrong"})
        assert wrong.status_code == 401
    await log_in(deaf.browser(), "ada")


async def test_forwarded_address_counts_only_when_the_proxy_is_trusted(
    settings: ControlSettings, clock: ManualClock, redis: Redis
) -> None:
    for trusted, expected in (("", "127.0.0.1"), ("127.0.0.0/8", "203.0.113.9")):
        await redis.flushall()
        async with running_control(msgspec.structs.replace(settings, trusted_proxies=trusted), clock) as control:
            await control.http.get("/v1/portal", headers={"X-Forwarded-For": "10.9.8.7, 203.0.113.9"})
        assert await redis.keys("limit:*") == [f"limit:read_portal:a:{expected}".encode()]


async def test_body_is_refused_when_it_is_not_called_json(control: Control) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = await control.http.post("/v1/auth/login", content=b"{}", headers={"Content-Type": kind})
        assert code_of(answer) == (415, "unsupported"), kind


async def test_body_is_refused_when_it_is_ten_megabytes(control: Control) -> None:
    read = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(160):
            read += 1
            yield b" " * 65536

    answer = await control.http.post("/v1/auth/login", content=pieces(), headers={"Content-Type": "application/json"})
    assert code_of(answer) == (413, "too-large")
    whole = b'{"login": "' + b"x" * (10 << 20) + b'"}'
    answer = await control.http.post("/v1/auth/login", content=whole, headers={"Content-Type": "application/json"})
    assert code_of(answer) == (413, "too-large")


async def test_body_is_refused_when_it_is_not_what_the_route_takes(control: Control) -> None:
    for body in WRONG:
        answer = await control.http.post("/v1/auth/login", content=body, headers={"Content-Type": "application/json"})
        assert code_of(answer) == (422, "invalid") and answer.json()["detail"].endswith("."), body


async def test_problems_are_told_in_one_form_when_the_router_refuses(control: Control) -> None:
    for method, path, status in (("GET", "/v1/nothing", 404), ("DELETE", "/v1/auth/login", 405)):
        answer = await control.http.request(method, path)
        assert code_of(answer) == (status, f"http-{status}")
        assert answer.headers["content-type"] == "application/problem+json"


async def test_cookies_travel_by_https_alone_when_the_portal_has_it(
    settings: ControlSettings, clock: ManualClock
) -> None:
    https = msgspec.structs.replace(settings, public_origin="https://cinema.example")
    async with running_control(https, clock) as control:
        body = {"email": "ada@example.org", "username": "ada", "password": PASSWORD}
        answer = await control.http.post("/v1/auth/register", json=body)
        assert all("Secure" in cookie.split("; ") for cookie in answer.headers.get_list("set-cookie"))
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert (await control.http.get("/v1/me")).status_code == 200


async def test_answers_are_unavailable_while_postgres_is_gone(settings: ControlSettings, clock: ManualClock) -> None:
    async with wire_to(settings.database_url) as wire:
        async with running_control(msgspec.structs.replace(settings, database_url=wire.url), clock) as control:
            await register(control.http, "ada")
            await wire.cut()
            answers = await asyncio.gather(*(control.http.get("/v1/me") for _ in range(4)))
            assert [(code_of(a), a.headers["retry-after"]) for a in answers] == [((503, "unavailable"), "2")] * 4
            assert code_of(await control.http.patch("/v1/me", json={})) == (503, "unavailable")
            await wire.mend()
            assert (await control.http.get("/v1/me")).status_code == 200


async def test_transaction_is_unavailable_when_postgres_goes_in_the_middle(
    settings: ControlSettings, clock: ManualClock
) -> None:
    async with wire_to(settings.database_url) as wire:
        async with running_control(msgspec.structs.replace(settings, database_url=wire.url), clock) as control:
            with pytest.raises(Unavailable):
                async with control.wiring["begin"]() as unit:
                    await wire.cut()
                    await unit.flags.all()
            with pytest.raises(Unavailable):
                async with control.wiring["begin"]() as unit:
                    await unit.flags.all()


async def test_limit_counts_an_ipv6_network_as_one_client(control: Control) -> None:
    body = {"login": "x", "password": "y"}
    for n in range(30):
        await control.browser(f"2001:db8:7:1::{n + 1:x}").post("/v1/auth/login", json=body | {"login": f"x{n}"})
    answers = [await control.browser(f"2001:db8:7:1:{n:x}::1").post("/v1/auth/login", json=body) for n in range(1, 20)]
    assert 429 in {answer.status_code for answer in answers}
    assert (await control.browser("2001:db8:7:2::1").post("/v1/auth/login", json=body)).status_code == 401


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
async def test_moment_is_refused_when_the_calendar_ends_before(control: Control, at: str) -> None:
    seller = await desk(control)
    title = await seller.ready()
    answer = await seller.http.patch(f"/v1/titles/{title['id']}", json={"window_until": at})
    assert answer.status_code == 422, answer.text
