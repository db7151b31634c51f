"""Workers that stood still, wake when all is done by others, and write: no published byte changes."""

from __future__ import annotations

import asyncio
import hashlib

from farm import publish
from farm.package import Piece
from farm.plan import Plan
from shared import jobs
from tests.support import media
from tests.support.farm import Farm

ZOMBIES = 130


async def published(farm: Farm) -> dict[str, str]:
    return {key: hashlib.sha256(await farm.bucket.get(key)).hexdigest() for key in await farm.keys("v/")}


async def wake(farm: Farm, plan: Plan, chunk: str) -> None:
    """Many attempts at a chunk come to their end at once, each with bytes of its own."""

    async def one(number: int) -> None:
        attempt = publish.Attempt(farm.bucket, plan.version, chunk, f"zombie{number}")
        await attempt.write("240/0", [Piece(f"{n}.m4s", b"%d of zombie %d" % (n, number)) for n in range(2)])
        won = await attempt.win()
        assert not won.attempt.startswith("zombie")
        if await publish.ready(farm.bucket, plan.title, plan.version) is None:
            await publish.copy_winner(farm.bucket, won, title=plan.title, version=plan.version)

    await asyncio.gather(*(one(number) for number in range(ZOMBIES)))


async def test_no_published_byte_changes_when_stalled_workers_wake(farm: Farm) -> None:
    assert await farm.probe(media.plain()) == "done"
    plan = await farm.plan()
    for chunk in plan.chunks:
        assert await farm.chunk(plan, chunk) == "done"
    before = await published(farm)
    for chunk in plan.chunks:
        await wake(farm, plan, chunk)
    assert await published(farm) == before

    assert await farm.finalise(plan) == "done"

    whole = await published(farm)
    assert before.items() <= whole.items()
    for chunk in plan.chunks:
        await wake(farm, plan, chunk)
        assert await farm.chunk(plan, chunk) == "done"
    assert await farm.finalise(plan) == "done"
    assert await published(farm) == whole
    assert not [message for message in await farm.messages() if isinstance(message, jobs.Failed)]
