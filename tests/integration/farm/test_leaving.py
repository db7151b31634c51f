"""A worker of `python -m farm` that is told to leave: it is forgotten at once, and one of its name begins afresh."""

from __future__ import annotations

import asyncio
from pathlib import Path

from redis.asyncio import Redis

from tests.support.farm_process import DEADLINE_S, worker
from tests.support.worker import until

NAME = "mill-1"


async def test_a_drained_worker_is_forgotten_when_it_leaves_and_works_when_it_comes_back(
    tmp_path: Path, redis: Redis, redis_url: str
) -> None:
    async with worker(tmp_path, redis, redis_url) as farm:
        first = await farm.start(USHER_WORKER_NAME=NAME)
        (before,) = await until(farm.needs.workers, within_s=DEADLINE_S)
        assert before.memory_bytes > 0
        await farm.needs.cordon(NAME, "drain")

        assert await asyncio.wait_for(first.wait(), DEADLINE_S) == 0
        assert await redis.keys("farm:worker:*") == []

        await redis.set(f"farm:cordon:{NAME}", f"drain {before.since!r}")
        second = await farm.start(USHER_WORKER_NAME=NAME)
        (after,) = await until(farm.needs.workers, within_s=DEADLINE_S)
        assert (after.cordoned, after.since > before.since) == ("", True)
        await until(lambda: not_marked(redis), within_s=DEADLINE_S)
        assert second.returncode is None


async def not_marked(redis: Redis) -> bool:
    return not await redis.exists(f"farm:cordon:{NAME}")
