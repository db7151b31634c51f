"""What Redis knows of running work: leases, tickets that wait, and the word to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.jobs import cancel_key, lease_key

#: Workers find the word to stop this long.
STOP_S = 3600


class RedisLeases:
    """Leases and queues in Redis. Each answer is None where Redis is away. fails="unknown".

    A Redis that lost its memory has no lease of work that goes on. So after an error, and when another process
    answers than before, `held` says None until workers had the time to renew theirs.
    """

    def __init__(self, redis: Redis, broker: Redis, *, lease_s: float, clock: Callable[[], float] = time.monotonic):
        self._redis, self._broker, self._clock = redis, broker, clock
        self._blind_s, self._blind_until, self._run = 2 * lease_s, 0.0, ""

    async def look(self) -> None:
        """Ask which Redis this is; the reaper does it before each round."""
        try:
            run = str((await self._redis.info("server")).get("run_id"))
        except (RedisError, OSError):
            self._blind_until = self._clock() + self._blind_s
            return
        if self._run and run != self._run:
            self._blind_until = self._clock() + self._blind_s
        self._run = run

    async def held(self, work: str) -> bool | None:
        """Whether somebody holds the lease; None where nobody can say."""
        try:
            if await self._redis.exists(lease_key(work)):
                return True
        except (RedisError, OSError):
            self._blind_until = self._clock() + self._blind_s
        return None if self._clock() < self._blind_until else False

    async def waiting(self, queue: str) -> int | None:
        """How many tickets wait in a queue (kombu keeps one as a list of that name)."""
        try:
            return int(await self._broker.llen(queue))
        except (RedisError, OSError):
            return None

    async def stop(self, jobs: Sequence[str]) -> None:
        """Set the keys that workers look for."""
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for job in jobs:
                    pipe.set(cancel_key(job), b"1", ex=STOP_S)
                await pipe.execute()
        except (RedisError, OSError):
            return
