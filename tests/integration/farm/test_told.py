"""What a job waits for is told although Redis is slow for a moment."""

from __future__ import annotations

import msgspec
import pytest
from redis.asyncio import Redis
from redis.exceptions import TimeoutError as RedisTimeout

from farm import tasks
from shared import jobs
from tests.support import media
from tests.support.farm import Farm


async def test_a_plan_and_a_chunk_that_redis_does_not_take_at_once_are_told_again(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "AGAIN_S", 0.0)
    xadd, refused = Redis.xadd, list[str]()

    async def slow(self: Redis, name: str, fields: dict[str, bytes], **options: bool | int) -> object:
        kind = type(msgspec.json.decode(fields["e"], type=jobs.Message)).__name__
        if kind not in refused:
            refused.append(kind)
            raise RedisTimeout
        return await xadd(self, name, fields, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Redis, "xadd", slow)
    assert await farm.probe(media.plain()) == "done"
    plan = await farm.plan()
    assert await farm.chunk(plan, "sound") == "done"

    told = [type(message).__name__ for message in await farm.messages()]
    assert {"Planned", "ChunkDone", "Started"} <= set(refused)
    assert (told.count("Planned"), told.count("ChunkDone")) == (1, 1)
    assert told.count("Started") == 1, "of the two, the first was not told: it counts, and might have been heard"
