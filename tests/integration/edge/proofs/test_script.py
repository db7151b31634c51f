"""No statement of the seat script is idle: whichever is deleted, a quick check turns red."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from shared import seats
from tests.support.lua import Deletion, deletions
from tests.support.ports import free_port
from tests.support.seat_checks import CHECKS, Check, broken_by
from tests.support.valkey import Valkey, valkey


@pytest.fixture
def server() -> Iterator[Valkey]:
    """A server of its own: a broken script may never end, and then only killing it helps."""
    with valkey(free_port()) as running:
        yield running


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.strip("_"))
async def test_the_script_holds(redis: Redis, check: Check) -> None:
    await check(redis)


async def test_each_statement_is_needed(server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    survivors = await idle_statements(server, seats.SCRIPT, monkeypatch)
    assert survivors == []


async def test_an_idle_statement_is_found(server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    idle = "local nothing = 1"
    survivors = await idle_statements(server, f"{idle}\n{seats.SCRIPT}", monkeypatch, lines=2)
    assert survivors == [f"line 1: {idle}"]


async def idle_statements(
    server: Valkey, script: str, monkeypatch: pytest.MonkeyPatch, *, lines: int = 10_000
) -> list[str]:
    """Statements in the first `lines` of a script that no check misses."""
    async with Redis.from_url(server.url) as redis:
        found = [one async for one in deletions(redis, script) if one.line <= lines]
    assert found
    return [f"line {one.line}: {one.statement}" for one in found if not await is_caught(server, one, monkeypatch)]


async def is_caught(server: Valkey, deletion: Deletion, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether some check is red without the statement; a script that never ends is caught too."""
    monkeypatch.setattr(seats, "SCRIPT", deletion.rest)
    async with Redis.from_url(server.url) as redis:
        try:
            return bool(await broken_by(redis))
        except TimeoutError:
            server.kill()
            server.start()
            return True
