"""The lease on a piece of work, held while it is made. Fails open: where Redis is away, markers decide."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Literal

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.jobs import cancel_key
from shared.need import Needs, Taken

#: A lease is renewed so often in its term: a Redis that lost its memory learns soon what is in work.
RENEWALS = 5
#: Seconds between two looks at the cancel key.
CANCEL_EVERY_S = 0.25


class Lease:
    """A piece of work that is ours until we let go or another took it; `lost` is set then."""

    def __init__(self, needs: Needs, owner: str, taken: Taken, *, lease_s: float) -> None:
        self._needs, self._owner, self._work = needs, owner, taken.work
        self._every_s = lease_s / RENEWALS
        self.lost = asyncio.Event()

    @property
    def worker(self) -> str:
        """Whose it is."""
        return self._owner.partition("/")[0]

    async def look(self) -> bool:
        """Renew it; whether it is still ours, as far as anybody knows."""
        with contextlib.suppress(RedisError, OSError):
            if not await self._needs.renew(self._owner, self._work):
                self.lost.set()
        return not self.lost.is_set()

    async def keep(self, stop: asyncio.Event) -> None:
        """Renew it until cancelled; `stop` is set when another has it."""
        while True:
            if not await self.look():
                stop.set()
                return
            await asyncio.sleep(self._every_s)

    async def release(self, how: Literal["done", "back"]) -> None:
        """Let go of it. What Redis does not hear ends by itself."""
        with contextlib.suppress(RedisError, OSError):
            await self._needs.release(self._owner, self._work, how)


async def watch_cancel(redis: Redis, job: str, *, cancelled: asyncio.Event, stop: asyncio.Event) -> None:
    """Set both events soon after the job's cancel key is there. Runs until then or until cancelled."""
    while not cancelled.is_set():
        with contextlib.suppress(RedisError, OSError):
            if await redis.exists(cancel_key(job)):
                cancelled.set()
                stop.set()
        await asyncio.sleep(CANCEL_EVERY_S)
