"""A control plane under test: the real app with its lifespan run in this process, and browsers that talk to it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx2
import msgspec
from argon2 import PasswordHasher
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.control.accounts import actions as people
from gateway.control.accounts.adapters.passwords import Argon2
from gateway.control.app import create_app
from gateway.control.wiring import Wiring
from shared import keys
from shared.clock import ManualClock
from shared.secrets import PLAYBACK_KEYS, SESSION_HMAC, FolderSecrets
from shared.settings import ControlSettings

PASSWORD = "correct horse battery"


class Control:
    """A running app. `http` is one browser; `browser()` makes others, each with cookies of its own."""

    def __init__(self, app: ASGIApp, settings: ControlSettings, clock: ManualClock, wiring: Wiring) -> None:
        self.settings, self.clock, self.wiring = settings, clock, wiring
        self.app = app
        self.http = self.browser()

    def browser(self, address: str = "127.0.0.1", **headers: str) -> httpx2.AsyncClient:
        """Another browser, at another address if one is given; nothing of it needs closing."""
        transport = httpx2.ASGITransport(app=cast(Any, self.app), client=(address, 40000))
        return httpx2.AsyncClient(transport=transport, base_url=self.settings.public_origin, headers=headers)

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """What the database holds."""
        async with self.wiring["pool"].acquire() as connection:
            return [dict(row) for row in await connection.fetch(query, *values)]

    async def events(self, type: str = "") -> list[dict[str, Any]]:
        """Events in the outbox, of one type if one is given."""
        return await self.rows(
            "select type, subject, data from outbox where topic = 'event' and ($1 = '' or type = $1) order by seq", type
        )


def control_settings(folder: Path, *, database_url: str, redis_url: str, **others: Any) -> ControlSettings:
    """Settings whose state lies in `folder`, with secrets drawn."""
    settings = ControlSettings(
        home=folder,
        database_url=database_url,
        database_pool=4,
        redis_url=redis_url,
        bucket=str(folder / "bucket"),
        secrets_dir=folder / "secrets",
        mail_dir=folder / "mail",
        log_level="error",
        **others,
    )
    secrets = FolderSecrets(settings.secrets_dir, {})
    secrets.write(SESSION_HMAC, b"0123456789abcdef0123456789abcdef")
    secrets.write(PLAYBACK_KEYS, msgspec.json.encode(keys.new_key_set()))
    return settings


@contextlib.asynccontextmanager
async def running_control(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Control]:
    """The app, started; its passwords are hashed with the cheapest argon2id."""
    cheap = Argon2(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    app = create_app(settings, clock=clock, passwords=cheap)
    async with app.router.lifespan_context(app) as state:
        wiring = cast(Wiring, state)

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(wiring)}, receive, send)

        yield Control(with_state, settings, clock, wiring)


async def post(http: httpx2.AsyncClient, path: str, **body: Any) -> httpx2.Response:
    """POST a JSON body to /v1/<path>."""
    return await http.post(f"/v1/{path}", json=body)


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    """Status and code of a problem."""
    return answer.status_code, answer.json()["code"]


async def register(http: httpx2.AsyncClient, name: str) -> dict[str, Any]:
    """Make the account `name` with PASSWORD, logged in in this browser; its Me."""
    body = {"email": f"{name}@example.org", "username": name, "password": PASSWORD}
    answer = await http.post("/v1/auth/register", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def log_in(http: httpx2.AsyncClient, name: str, password: str = PASSWORD) -> dict[str, Any]:
    """Log `name` in in this browser; its Me."""
    answer = await http.post("/v1/auth/login", json={"login": name, "password": password})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def make_admin(control: Control, principal: str, role: str = "admin") -> None:
    """Give a role on the platform, as the command line does."""
    async with control.wiring["begin"]() as unit:
        await people.assign(principal, role, accounts=unit.accounts, outbox=unit.outbox)


async def make_seller(http: httpx2.AsyncClient, handle: str) -> dict[str, Any]:
    """Become a seller; its Seller."""
    answer = await http.post("/v1/sellers", json={"name": handle.title(), "handle": handle})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def solve(challenge: str, bits: int, *, start: int = 0) -> str:
    """The first proof of work from `start` on, found as a browser finds it."""
    number = start
    while int.from_bytes(hashlib.sha256(f"{challenge}.{number}".encode()).digest(), "big") >> (256 - bits):
        number += 1
    return f"{challenge}.{number}"
