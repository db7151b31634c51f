"""Events the edge tells control: queued in memory, written to a Redis stream in the background, never waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.edge.counts import Counts
from shared import ids, log
from shared.events import EDGE_STREAM, STREAM_LENGTH, TYPES, Envelope

#: Events held while Redis is away; more are dropped and counted.
QUEUE_LENGTH = 10_000
BATCH = 100
RETRY_S = 1.0


class Journal:
    """Writes events to EDGE_STREAM. fails="open": viewers never wait for it, and it may lose what does not fit."""

    def __init__(self, redis: Redis, *, now: Callable[[], float], counts: Counts) -> None:
        self._redis, self._now, self._counts = redis, now, counts
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE_LENGTH)
        #: What was taken from the queue and is not known to be in the stream.
        self._batch: list[bytes] = []
        self._log = log.get("edge.journal")

    def tell(self, kind: str, subject: str, data: dict[str, Any]) -> None:
        """Queue one event of a type listed in shared/events.py."""
        if kind not in TYPES:
            raise ValueError(kind)
        at = datetime.fromtimestamp(self._now(), UTC)
        event = Envelope(id=ids.new_id("evt"), type=kind, at=at, subject=subject, data=data)
        try:
            self._queue.put_nowait(msgspec.json.encode(event))
        except asyncio.QueueFull:
            self._counts.events_lost += 1

    async def run(self) -> None:
        """Write for ever, in the order told; what was taken from the queue is kept until Redis has it."""
        while True:
            self._batch = [await self._queue.get()]
            while len(self._batch) < BATCH and not self._queue.empty():
                self._batch.append(self._queue.get_nowait())
            while not await self._written(self._batch):  # noqa: ASYNC110 - Redis rings no bell when it is back
                await asyncio.sleep(RETRY_S)
            self._batch = []

    async def flush(self) -> None:
        """Write what is left, once, at the end. What was being written may come twice, never not at all."""
        while not self._queue.empty():
            self._batch.append(self._queue.get_nowait())
        if self._batch and await self._written(self._batch):
            self._batch = []

    async def _written(self, batch: list[bytes]) -> bool:
        pipe = self._redis.pipeline(transaction=False)
        for event in batch:
            pipe.xadd(EDGE_STREAM, {"e": event}, maxlen=STREAM_LENGTH, approximate=True)
        try:
            await pipe.execute()
        except RedisError as error:
            self._log.warning("events wait for Redis", words=str(error), waiting=self._queue.qsize())
            return False
        return True
