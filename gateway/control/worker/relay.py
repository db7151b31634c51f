"""The relay: outbox rows leave in order, topic by topic, each at least once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import asyncpg
import msgspec
from redis.asyncio import Redis
from redis.exceptions import DataError

from gateway.control.db import Begin
from gateway.control.entitlements.standings import EPOCH_S, moved
from gateway.control.outbox import PUSH, Row
from gateway.control.wiring import Unit
from gateway.control.worker.turns import RELAY, alone
from shared import log, seats
from shared.errors import Final, Refused
from shared.events import EVENTS, STREAM_LENGTH, Envelope, Push
from shared.ids import new_secret
from shared.metrics import ERRORS, OUTBOX_RELAYED

BATCH = 100
POLL_S = 0.5
#: Says that the revocations of the past were written to this Redis; gone when Redis lost its memory.
KEPT = "edge:revoked:kept"

#: What says that a row itself is at fault: it does not decode, Redis has no form for it, or it is refused for good.
UNFIT = (msgspec.MsgspecError, UnicodeError, DataError, Refused, Final)

#: Hands rows over; of those that can never be, why, by seq. What it raises lets all of them come again.
Deliver = Callable[[Sequence[Row]], Awaitable[Mapping[int, str]]]
#: Writes down what follows from events, in the transaction that marks them; called again with the same ones.
TakeIn = Callable[[Sequence[Envelope], Unit], Awaitable[None]]


async def relay(topic: str, deliver: Deliver, *, begin: Begin[Unit], take_in: TakeIn | None = None) -> bool:
    """Relay the next rows of a topic; whether there may be more.

    One worker at a time, so that rows leave in order. Rows are marked after they left: a worker that dies between
    the two leaves them to be sent again, never unsent. One that can never leave is set aside, and those behind it go
    on.
    """
    async with begin() as unit:
        if not await alone(unit.connection, RELAY, topic):
            return False
        rows = await unit.outbox.take(BATCH, topic=topic)
        if not rows:
            return False
        if take_in is not None:
            await take_in([row.envelope for row in rows], unit)
        aside = await deliver(rows)
        await unit.outbox.relayed([row.seq for row in rows if row.seq not in aside])
        await unit.outbox.set_aside(aside)
    OUTBOX_RELAYED.labels(topic).inc(len(rows) - len(aside))
    for row in rows:
        if row.seq in aside:
            _tell(row, aside[row.seq])
    return len(rows) == BATCH


async def one_by_one(rows: Sequence[Row], hand_over: Callable[[Envelope], Awaitable[None]]) -> Mapping[int, str]:
    """Hand rows over in order; why those are set aside that are at fault themselves, by seq.

    Raises all else at the first row that meets it: with Redis away, or full, none after it could leave either.
    """
    aside = {}
    for row in rows:
        try:
            await hand_over(row.envelope)
        except UNFIT as error:
            aside[row.seq] = str(error)[:300]
    return aside


async def deliver_events(rows: Sequence[Row], *, redis: Redis) -> Mapping[int, str]:
    """Onto the stream of all events; what is kept of rights that they change counts no more."""
    async with redis.pipeline(transaction=True) as pipe:
        for row in rows:
            for epoch in moved(row.envelope):
                pipe.set(epoch, new_secret(9), ex=EPOCH_S)
            pipe.xadd(EVENTS, {"e": msgspec.json.encode(row.envelope)}, maxlen=STREAM_LENGTH, approximate=True)
        await pipe.execute()
    return {}


async def deliver_pushes(rows: Sequence[Row], *, redis: Redis) -> Mapping[int, str]:
    """To all edges now, and kept for those that ask later."""

    async def revoke(envelope: Envelope) -> None:
        await seats.revoke(redis, push_of(envelope.data))

    return await one_by_one(rows, revoke)


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


def _tell(row: Row, words: str) -> None:
    ERRORS.labels("worker").inc()
    about = {"id": row.envelope.id, "topic": row.topic, "type": row.envelope.type}
    log.get("worker").error("outbox row set aside", **about, reason=words)


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
