"""The worker of control in tests: its loops in this process, and the streams it reads and writes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from redis.asyncio import Redis

from gateway.control.worker import process
from shared.events import EVENTS, FARM_STREAM, Envelope
from shared.jobs import Message
from tests.support.control import Control
from tests.support.patience import WITHIN_S as WITHIN_S
from tests.support.patience import until as until


@contextlib.asynccontextmanager
async def working(control: Control) -> AsyncIterator[None]:
    """The worker's loops, in this process."""
    task = asyncio.create_task(process.run(control.wiring))
    try:
        yield
    finally:
        task.cancel()
        _, stuck = await asyncio.wait({task}, timeout=WITHIN_S)
        assert not stuck


async def emit(control: Control, count: int = 1) -> None:
    async with control.wiring["begin"]() as unit:
        for n in range(count):
            await unit.outbox.emit("title.updated", f"t{n}", title=f"t{n}", fields=[])


async def events_of(redis: Redis, stream: str = EVENTS) -> list[Envelope]:
    entries: Any = await redis.xrange(stream)
    return [msgspec.json.decode(fields[b"e"], type=Envelope) for _, fields in entries]


async def waiting(control: Control) -> int:
    async with control.wiring["begin"]() as unit:
        return await unit.outbox.waiting()


async def farm_says(redis: Redis, message: Message) -> None:
    await redis.xadd(FARM_STREAM, {"e": msgspec.json.encode(message)})


async def drained(control: Control) -> bool:
    return await waiting(control) == 0


async def state_is(control: Control, job: str, state: str) -> bool:
    return (await control.rows("select state from job where id = $1", job))[0]["state"] == state
