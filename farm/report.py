"""What a worker tells control: messages on FARM_STREAM. One that cannot be sent is logged, never fatal."""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Mapping
from multiprocessing.sharedctypes import RawArray
from typing import Final

import msgspec
from billiard import process as pool
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.events import FARM_STREAM, STREAM_LENGTH
from shared.jobs import ChunkTicket, Message, Progress
from shared.log import get

#: Seconds between two progress messages of a chunk.
EVERY_S = 0.5
#: Seconds after which Redis counts as away.
REDIS_TIMEOUT_S = 1.0

#: Pool processes whose speed is known.
_MOST = 256


class Speeds:
    """How fast each pool process makes its piece, as a multiple of real time; shared with them by the fork."""

    def __init__(self) -> None:
        self._figures = RawArray(ctypes.c_double, _MOST)

    def tell(self, speed: float) -> None:
        """The speed of this process; 0 while it makes nothing."""
        self._figures[getattr(pool.current_process(), "index", 0) % _MOST] = speed

    def sum(self) -> float:
        """The speed of all of them."""
        return round(sum(self._figures), 3)


SPEEDS: Final = Speeds()


def connect(url: str) -> Redis:
    """A client of the event streams that gives up quickly."""
    return Redis.from_url(url, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S)


async def send(redis: Redis, message: Message) -> bool:
    """Send one message; False where Redis did not take it. The truth is in the bucket, so nothing is lost for good."""
    try:
        await redis.xadd(FARM_STREAM, {"e": msgspec.json.encode(message)}, maxlen=STREAM_LENGTH, approximate=True)
    except (RedisError, OSError) as error:
        get("farm").warning("message not sent", kind=type(message).__name__, why=str(error))
        return False
    return True


class ProgressFeed:
    """The progress of a chunk: fractions that only grow, sent at most twice a second, the last one always."""

    def __init__(self, redis: Redis, ticket: ChunkTicket, renditions: tuple[str, ...]) -> None:
        self._redis, self._ticket = redis, ticket
        self.fractions = dict.fromkeys(renditions, 0.0)
        self._sent: dict[str, float] = {}
        self._speed = 0.0

    def update(self, fractions: Mapping[str, float], speed: float) -> None:
        """Take what is known now; an older or smaller figure changes nothing."""
        for name, fraction in fractions.items():
            self.fractions[name] = max(self.fractions[name], min(1.0, round(fraction, 4)))
        self._speed = speed
        SPEEDS.tell(speed)

    async def flush(self) -> None:
        """Send if anything changed."""
        if self.fractions != self._sent:
            self._sent = dict(self.fractions)
            job, chunk, version = self._ticket.job, self._ticket.chunk, self._ticket.version
            told = Progress(job, chunk, dict(self.fractions), round(self._speed, 2), version)
            await send(self._redis, told)

    async def keep_sending(self) -> None:
        """Flush every half second until cancelled."""
        while True:
            await self.flush()
            await asyncio.sleep(EVERY_S)
