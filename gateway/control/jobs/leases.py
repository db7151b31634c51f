"""What Redis knows of running work: what is leased, what waits to be taken, and the word to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.jobs import cancel_key
from shared.need import Needs, WorkerState

#: Workers find the word to stop this long.
STOP_S = 3600
#: It is remembered for a day since when no worker fits a job.
UNFIT_S = 24 * 3600


class RedisLeases:
    """Leases and needs in Redis. Each answer is None where Redis is away. fails="unknown".

    A Redis that lost its memory has no lease of work that goes on. So after an error, and when another process
    answers than before, `held` says None until workers had the time to renew theirs, which they do five times a lease.
    """

    def __init__(self, redis: Redis, needs: Needs, *, lease_s: float, clock: Callable[[], float] = time.monotonic):
        self._redis, self._needs, self._clock = redis, needs, clock
        self._blind_s, self._blind_until, self._run = lease_s / 2, 0.0, ""
        self._was_blind = False

    async def look(self) -> bool:
        """Ask which Redis this is, often and before each round of the reaper; whether `held` just can say again."""
        try:
            run = str((await self._redis.info("server")).get("run_id"))
        except (RedisError, OSError):
            self._blind_until = self._clock() + self._blind_s
        else:
            if self._run and run != self._run:
                self._blind_until = self._clock() + self._blind_s
            self._run = run
        was, self._was_blind = self._was_blind, self._clock() < self._blind_until
        return was and not self._was_blind

    async def held(self, works: Sequence[str]) -> dict[str, bool] | None:
        """Whether each piece of work is leased or waits to be taken; None where nobody can say."""
        try:
            found = await self._needs.held(works)
        except (RedisError, OSError):
            self._blind_until = self._clock() + self._blind_s
            return None
        return None if self._clock() < self._blind_until else found

    async def leased(self, works: Sequence[str]) -> dict[str, bool] | None:
        """Whether somebody works at each piece; None where Redis is away."""
        try:
            return await self._needs.leased(works)
        except (RedisError, OSError):
            return None

    async def workers(self) -> list[WorkerState] | None:
        """The workers that were heard of lately; None where Redis is away."""
        try:
            return await self._needs.workers()
        except (RedisError, OSError):
            return None

    async def waits_s(self, job: str, *, now: float, is_unfit: bool) -> float:
        """For how long, up to `now`, no worker fits a job; forgotten once one does. fails="0": it waits on."""
        key = f"farm:unfit:{job}"
        try:
            if not is_unfit:
                await self._redis.delete(key)
                return 0.0
            await self._redis.set(key, now, nx=True, ex=UNFIT_S)
            return now - float(await self._redis.get(key) or now)
        except (RedisError, OSError):
            return 0.0

    async def stop(self, jobs: Sequence[str], *, versions: Sequence[str] = ()) -> None:
        """Set the keys that workers look for, and withdraw versions that will not be made, for those who wait."""
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for job in jobs:
                    pipe.set(cancel_key(job), b"1", ex=STOP_S)
                await pipe.execute()
            for plan in jobs:
                await self._needs.withdraw(plan)
            for version in versions:
                await self._needs.withdraw(version, is_over=True)
        except (RedisError, OSError):
            return
