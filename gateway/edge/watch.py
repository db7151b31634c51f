"""The edge's ear: revocations pushed by control, takeovers of other edges, and whether Redis still remembers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from gateway.edge.revocations import Revocations
from gateway.edge.seats import LocalSeats
from shared import ids, log
from shared.events import EDGE_PUSH, REVOKED, Push

#: A key that is there as long as Redis remembers; a new value means that all seats were forgotten.
MARK: Final = "edge:mark"
#: Counts the seconds of one edge; one that Redis has forgotten means that what it last wrote was lost in a restart.
PULSE: Final = "edge:pulse:{}"
PULSE_KEPT_S: Final = 3600
PING_S: Final = 1.0
#: Seconds without any answer after which the connection counts as dead.
SILENCE_S: Final = 3.0


class Watch:
    """Listens to EDGE_PUSH for ever, pings each second, and reads REVOKED again at each (re)connection."""

    def __init__(self, redis: Redis, seats: LocalSeats, revocations: Revocations, *, tick: Callable[[], float]) -> None:
        self._redis, self._seats, self._revocations, self._tick = redis, seats, revocations, tick
        self._mark, self._pulse, self._beats = "", PULSE.format(ids.new_secret(8)), 0
        self._log = log.get("edge.watch")
        #: Whether messages reach this edge now.
        self.is_connected = False

    async def run(self) -> None:
        """Listen; connect again a second after the connection was lost."""
        while True:
            try:
                async with self._redis.pubsub() as channel:
                    await self._listen(channel)
            except (RedisError, OSError, TimeoutError, ValueError) as error:
                if self.is_connected:
                    self._log.warning("Redis is away", words=str(error))
            finally:
                self.is_connected = False
            await asyncio.sleep(PING_S)

    async def _listen(self, channel: PubSub) -> None:
        await channel.subscribe(EDGE_PUSH)
        heard = pinged = self._tick()
        while True:
            message = await channel.get_message(timeout=PING_S / 2)
            tick = self._tick()
            if message is not None:
                heard = tick
                await self._take_in(message)
            if tick - heard > SILENCE_S:
                raise TimeoutError("no answer to pings")
            if tick - pinged >= PING_S:
                pinged = tick
                await channel.ping()
                await self._compare_mark()

    async def _catch_up(self) -> None:
        """After a gap: what was revoked meanwhile, and whether Redis is the one it was."""
        held: dict[Any, Any] = await self._redis.hgetall(REVOKED)
        self._revocations.add({field.decode(): int(iat) for field, iat in held.items()})
        await self._compare_mark()
        await self._seats.catch_up()
        self.is_connected = True

    async def _compare_mark(self) -> None:
        async with asyncio.timeout(SILENCE_S):
            await self._redis.set(MARK, ids.new_secret(8), nx=True)
            mark = str(await self._redis.get(MARK))
            beats = int(await self._redis.set(self._pulse, self._beats + 1, get=True, ex=PULSE_KEPT_S) or 0)
        forgot = bool(self._mark) and (mark != self._mark or beats < self._beats)
        self._mark, self._beats = mark, self._beats + 1
        if forgot:
            self._log.warning("Redis lost its memory; sessions are registered again")
            await self._revocations.write_back(self._redis)
            self._seats.register_again()

    async def _take_in(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            # Comes again whenever the client connected anew by itself: only this tells of the gap.
            await self._catch_up()
        if message["type"] != "message":
            return
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            push = msgspec.json.decode(message["data"], type=Push)
            if push.kind == "spread":
                self._seats.is_spread(push.key)
            elif push.kind == "left":
                self._seats.has_left(push.key)
            elif push.kind != "ping":
                self._revocations.apply(push)
                await self._seats.hold_against_revocations(push)
