"""Readers of Redis streams: a consumer group, nothing lost when a worker dies, a wiped Redis met afresh."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from gateway.control.db import Begin
from gateway.control.entitlements import actions as entitlements
from gateway.control.jobs import actions as jobs
from gateway.control.screenings import actions as screenings
from gateway.control.watching import actions as watching
from gateway.control.watching.timelines import Timelines
from gateway.control.wiring import Unit
from shared import log
from shared.clock import Clock
from shared.errors import Retryable, Unavailable
from shared.events import EVENTS, STREAM_LENGTH, TYPES, Envelope
from shared.jobs import Message
from shared.metrics import ERRORS, SHARED_LINKS, WATCHED_SECONDS, WATCHED_UNKNOWN
from shared.watch import WATCH_STREAM, Watched

GROUP = "control"
BATCH = 100
#: Shorter than the client's socket timeout.
BLOCK_MS = 2000
#: Entries that a dead worker took are taken over after this long.
STALE_MS = 30_000

#: Takes in one entry: its id and its field `e`. Raises Retryable when it must come again.
Handle = Callable[[str, bytes], Awaitable[None]]
Entries = Sequence[tuple[bytes, Mapping[bytes, bytes]]]


class Reader:
    """Reads one stream as one consumer of the group; an entry is acknowledged after it was taken in."""

    field = b"e"

    def __init__(self, redis: Redis, stream: str, handle: Handle, *, consumer: str) -> None:
        self._redis, self._stream, self._handle, self._consumer = redis, stream, handle, consumer
        self._again = True

    async def step(self) -> bool:
        """Take in the next entries, waiting for some; those left from before an error come first."""
        try:
            if self._again:
                await self._begin()
                await self._take(await self._read("0", block_ms=None))
                self._again = False
            await self._take(await self._read(">", block_ms=BLOCK_MS))
        except ResponseError as error:
            self._again = True
            if "NOGROUP" in str(error):  # Redis lost its memory
                return True
            raise
        except BaseException:
            self._again = True
            raise
        return True

    async def claim(self) -> bool:
        """Take over what a dead worker took and never acknowledged."""
        try:
            _, entries, *_ = await self._redis.xautoclaim(
                self._stream, GROUP, self._consumer, min_idle_time=STALE_MS, count=BATCH
            )
        except ResponseError as error:
            if "NOGROUP" in str(error):
                return False
            raise
        await self._take(entries)
        return len(entries) == BATCH

    async def _begin(self) -> None:
        try:
            await self._redis.xgroup_create(self._stream, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _read(self, after: str, *, block_ms: int | None) -> Entries:
        streams: dict[Any, Any] = {self._stream: after}
        answer: Any = await self._redis.xreadgroup(GROUP, self._consumer, streams, count=BATCH, block=block_ms)
        pairs = answer.items() if isinstance(answer, Mapping) else answer or ()
        return [entry for _, entries in pairs for entry in entries]

    async def _take(self, entries: Entries) -> None:
        for id, fields in entries:
            await self._take_one(id.decode(), (fields or {}).get(self.field, b""))
            await self._redis.xack(self._stream, GROUP, id)

    async def _take_one(self, id: str, data: bytes) -> None:
        try:
            await self._handle(id, data)
        except Retryable:
            raise
        except Exception as error:  # one bad entry must not stop those behind it
            ERRORS.labels("worker").inc()
            log.get("worker").error("bad entry", stream=self._stream, entry=id, reason=str(error)[:300])


class WatchReader(Reader):
    """Reads watch time: the entries that come together are one transaction."""

    field = b"w"

    def __init__(self, redis: Redis, handle: Callable[[Sequence[Watched]], Awaitable[None]], *, consumer: str) -> None:
        super().__init__(redis, WATCH_STREAM, self._alone, consumer=consumer)
        self._together = handle

    async def _alone(self, id: str, data: bytes) -> None:
        await self._together([msgspec.json.decode(data, type=Watched)])

    async def _take(self, entries: Entries) -> None:
        try:
            read = [msgspec.json.decode((fields or {}).get(self.field, b""), type=Watched) for _, fields in entries]
            if read:
                await self._together(read)
        except Retryable:
            raise
        except Exception:  # one of them is bad: each by itself, and that one is told
            await super()._take(entries)
        else:
            if entries:
                await self._redis.xack(self._stream, GROUP, *(id for id, _ in entries))


async def take_watched(entries: Sequence[Watched], *, begin: Begin[Unit], timelines: Timelines, clock: Clock) -> None:
    """What edges delivered goes to the viewers' watch time."""
    new_ms, unknown = await watching.take_in(entries, begin=begin, timelines=timelines, clock=clock)
    WATCHED_SECONDS.inc(new_ms / 1000)
    WATCHED_UNKNOWN.inc(unknown)


async def take_farm(id: str, data: bytes, *, begin: Begin[Unit], clock: Clock) -> None:
    """What a farm says goes to the jobs."""
    message = msgspec.json.decode(data, type=Message)
    async with begin() as unit:
        await jobs.apply(
            message, jobs=unit.jobs, titles=unit.catalogue, outbox=unit.outbox, clock=clock, entry=f"farm:{id}"
        )


async def take_edge(id: str, data: bytes, *, redis: Redis, begin: Begin[Unit]) -> None:
    """What an edge says goes onto the stream of all events; of what it says twice, only that may come twice."""
    envelope = msgspec.json.decode(data, type=Envelope)
    if envelope.type not in TYPES:
        raise ValueError(f"the event type {envelope.type} is not listed in shared/events.py")
    told = envelope.data
    if envelope.type == "playback.first_media":
        async with begin() as unit:
            sub, title, at = told.get("sub", ""), told.get("title", ""), envelope.at
            await watching.began(sub, title, at, watching=unit.watching)
            await entitlements.first_play(sub, title, at, entitlements=unit.entitlements, outbox=unit.outbox)
    elif envelope.type == "playback.sharing":
        async with begin() as unit:
            if await unit.jobs.first_time(f"edge:{envelope.id}"):
                unit.outbox.count(SHARED_LINKS)
                await screenings.keep_shared(told.get("sid", ""), screenings=unit.screenings, outbox=unit.outbox)
    try:
        await redis.xadd(EVENTS, {"e": data}, maxlen=STREAM_LENGTH, approximate=True)
    except (RedisError, OSError) as error:
        raise Unavailable("Redis did not take the event; it comes again.") from error
