"""Leases: one worker at a piece of work, by a key in Redis that its holder renews. Fails open: markers decide."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.jobs import cancel_key, lease_key
from shared.log import get
from shared.tasks import end

#: Seconds between two looks at the cancel key.
CANCEL_EVERY_S = 1.0


class Lease:
    """Work that is ours until we let go or stop renewing. `held` is False where somebody else has it."""

    def __init__(self, redis: Redis, work: str, seconds: int, *, owner: str | None = None) -> None:
        self._redis, self._key, self._seconds = redis, lease_key(work), seconds
        self._owner = (owner or secrets.token_hex(8)).encode()

    async def take(self) -> bool:
        """Whether the work is ours. True also while Redis is away: twice the work is better than none."""
        try:
            return bool(await self._redis.set(self._key, self._owner, nx=True, px=self._seconds * 1000))
        except (RedisError, OSError) as error:
            get("farm").warning("lease not asked for", why=str(error))
            return True

    async def renew(self) -> None:
        """Extend the lease unless another has it by now."""
        with contextlib.suppress(RedisError, OSError):
            if await self._redis.get(self._key) in (None, self._owner):
                await self._redis.set(self._key, self._owner, px=self._seconds * 1000)

    async def release(self) -> None:
        """Let go of what is ours."""
        with contextlib.suppress(RedisError, OSError):
            if await self._redis.get(self._key) == self._owner:
                await self._redis.delete(self._key)

    async def keep_renewing(self) -> None:
        """Renew at a third of the term until cancelled."""
        while True:
            await asyncio.sleep(self._seconds / 3)
            await self.renew()


@contextlib.asynccontextmanager
async def leased(redis: Redis, work: str, seconds: int) -> AsyncIterator[bool]:
    """Hold the lease on `work` for the block, renewed; gives False, holding nothing, where another holds it."""
    lease = Lease(redis, work, seconds)
    if not await lease.take():
        yield False
        return
    renewing = asyncio.create_task(lease.keep_renewing())
    try:
        yield True
    finally:
        await end(renewing)
        await lease.release()


async def watch_cancel(redis: Redis, job: str, stop: asyncio.Event) -> None:
    """Set `stop` within a second or two of the job's cancel key. Runs until cancelled."""
    while not stop.is_set():
        with contextlib.suppress(RedisError, OSError):
            if await redis.exists(cancel_key(job)):
                stop.set()
        await asyncio.sleep(CANCEL_EVERY_S)
