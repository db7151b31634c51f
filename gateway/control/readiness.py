"""Whether control and the worker can do their work: Postgres, Redis and the bucket are asked every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
from redis.exceptions import RedisError

from shared.errors import UsherError
from shared.tasks import end

if TYPE_CHECKING:  # wiring imports the stores of features, which this module has no need of
    from gateway.control.wiring import Wiring

#: Seconds between two looks, and the longest one may take.
EVERY_S, PATIENCE_S = 2.0, 3.0
#: A key that need not exist: the question is whether the store answers.
PROBE_KEY = "readiness"

_FAILURES = (OSError, TimeoutError, UsherError, RedisError, asyncpg.PostgresError, asyncpg.InterfaceError)


@asynccontextmanager
async def watched(wiring: Wiring, *, every_s: float = EVERY_S) -> AsyncIterator[Callable[[], str | None]]:
    """Look again and again inside the block; what it yields says why the process is not ready, or None."""
    reasons: dict[str, str] = {}
    await _look(wiring, reasons)
    looking = asyncio.create_task(_keep_looking(wiring, reasons, every_s=every_s))
    try:
        yield lambda: "; ".join(reasons.values()) or None
    finally:
        await end(looking)


async def _keep_looking(wiring: Wiring, reasons: dict[str, str], *, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        await _look(wiring, reasons)


async def _look(wiring: Wiring, reasons: dict[str, str]) -> None:
    asked: dict[str, Callable[[], Awaitable[object]]] = {
        "Postgres": lambda: wiring["pool"].fetchval("select 1"),
        "Redis": lambda: wiring["redis"].ping(),
        "the bucket": lambda: wiring["bucket"].head(PROBE_KEY),
    }
    await asyncio.gather(*(_ask(name, question, reasons=reasons) for name, question in asked.items()))


async def _ask(name: str, question: Callable[[], Awaitable[object]], *, reasons: dict[str, str]) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await question()
        reasons.pop(name, None)
    except _FAILURES as error:
        reasons[name] = f"{name} does not answer ({type(error).__name__})"
