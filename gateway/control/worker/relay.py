"""The relay: outbox rows leave in order, topic by topic, each at least once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import msgspec
from redis.asyncio import Redis

from gateway.control.db import Begin
from gateway.control.entitlements.standings import EPOCH_S, moved
from gateway.control.outbox import PUSH, Row
from gateway.control.wiring import Unit
from gateway.control.worker.turns import RELAY, alone
from shared import seats
from shared.events import EVENTS, STREAM_LENGTH, Envelope, Push
from shared.ids import new_secret
from shared.metrics import OUTBOX_RELAYED

BATCH = 100
POLL_S = 0.5
#: Says that the revocations of the past were written to this Redis; gone when Redis lost its memory.
KEPT = "edge:revoked:kept"

#: Hands rows over; how many of them, from the first on, are safe.
Deliver = Callable[[Sequence[Row]], Awaitable[int]]
#: Writes down what follows from events, in the transaction that marks them; called again with the same ones.
TakeIn = Callable[[Sequence[Envelope], Unit], Awaitable[None]]


async def relay(topic: str, deliver: Deliver, *, begin: Begin[Unit], take_in: TakeIn | None = None) -> bool:
    """Relay the next rows of a topic; whether there may be more.

    One worker at a time, so that rows leave in order. Rows are marked after they left: a worker that dies between
    the two leaves them to be sent again, never unsent.
    """
    async with begin() as unit:
        if not await alone(unit.connection, RELAY, topic):
            return False
        rows = await unit.outbox.take(BATCH, topic=topic)
        if not rows:
            return False
        if take_in is not None:
            await take_in([row.envelope for row in rows], unit)
        safe = await deliver(rows)
        await unit.outbox.relayed([row.seq for row in rows[:safe]])
    OUTBOX_RELAYED.labels(topic).inc(safe)
    return len(rows) == BATCH


async def deliver_events(rows: Sequence[Row], *, redis: Redis) -> int:
    """Onto the stream of all events; what is kept of rights that they change counts no more."""
    async with redis.pipeline(transaction=True) as pipe:
        for row in rows:
            for epoch in moved(row.envelope):
                pipe.set(epoch, new_secret(9), ex=EPOCH_S)
            pipe.xadd(EVENTS, {"e": msgspec.json.encode(row.envelope)}, maxlen=STREAM_LENGTH, approximate=True)
        await pipe.execute()
    return len(rows)


async def deliver_pushes(rows: Sequence[Row], *, redis: Redis) -> int:
    """To all edges now, and kept for those that ask later."""
    for row in rows:
        await seats.revoke(redis, push_of(row.envelope.data))
    return len(rows)


async def keep_revocations(*, redis: Redis, begin: Begin[Unit], hard_end_s: int) -> bool:
    """Write revocations again into a Redis that lost its memory, as far back as a token can live."""
    if await redis.exists(KEPT):
        return False
    async with begin() as unit:
        if not await alone(unit.connection, RELAY, PUSH):
            return False  # a push on its way must not be overtaken by what it replaces
        for push in await unit.outbox.revocations(2 * hard_end_s):
            await seats.revoke(redis, push)
    await redis.set(KEPT, b"1")
    return False


def push_of(data: Any) -> Push:
    """The push of an outbox row."""
    return msgspec.convert(data, Push)


async def listen(url: str, wakes: Sequence[asyncio.Event]) -> bool:
    """Wake the relays whenever a transaction adds a task or a push; returns when the connection is lost.

    Events wake nobody: a commit that notifies waits for all others that do.
    """
    connection = await asyncpg.connect(url, timeout=5)
    lost = asyncio.Event()

    def wake(*_: object) -> None:
        for event in wakes:
            event.set()

    try:
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener("outbox", wake)
        wake()
        await lost.wait()
    finally:
        connection.terminate()
    raise ConnectionError("the connection that listens to the outbox was lost")
