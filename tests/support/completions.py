"""Completions of chunks, shuffled, doubled and at once, and stalled workers that wake when all is done by others."""

from __future__ import annotations

import asyncio
import hashlib
import random

import msgspec

from farm import publish
from farm.package import Piece
from farm.plan import Plan
from shared.jobs import ChunkDone, Message
from shared.storage import names
from tests.support.control import Control
from tests.support.farm import Farm
from tests.support.jobs import reap
from tests.support.titles import desk, planned_of, ready_of, say

FINALS = """
select data->>'plan' as plan, count(*)::int as count from outbox
where type = 'farm.offer' and data->'work' ? 'final' group by 1
"""
COMPLETED = "select subject, count(*)::int as count from outbox where type = 'transcode.completed' group by 1"


class Ends(msgspec.Struct, frozen=True):
    """How often each version's last step was begun, how often each job was told to be ready, which editions show."""

    begun: dict[str, int]
    ready: dict[str, int]
    editions: list[str]

    def wrong(self, jobs: int) -> int:
        """How many of so many versions did not get exactly one last step and one word of being ready."""
        once = sum(self.begun.get(f"v{number}") == 1 for number in range(jobs))
        return max(jobs - once, jobs - sum(count == 1 for count in self.ready.values()))


async def storm(control: Control, *, jobs: int, chunks: int, seed: int = 1) -> Ends:
    """Each chunk of each job is told done twice, in any order, by three at once, beside the reaper; then each is ready
    three times."""
    draw, bucket = random.Random(seed), control.wiring["bucket"]
    seller = await desk(control)
    ids = [(await seller.queue((await seller.title())["id"])).id for _ in range(jobs)]
    said: list[Message] = []
    for number, job in enumerate(ids):
        plan = tuple(str(chunk) for chunk in range(chunks))
        await say(control, planned_of(job, f"v{number}", plan))
        for chunk in plan:
            await bucket.put(names.done(f"v{number}", chunk), b"{}")
            said += [ChunkDone(job, chunk, f"v{number}")] * 2
    draw.shuffle(said)
    await asyncio.gather(*(_tell(control, said[start::3]) for start in range(3)), _reap(control))
    begun = await control.rows(FINALS)
    ends = [ready_of(job, f"v{number}") for number, job in enumerate(ids) for _ in range(3)]
    await asyncio.gather(*(_tell(control, [*ends[start::3], *said[:20]]) for start in range(3)))
    await say(control, msgspec.structs.replace(ends[0], edition="another"))
    shown = await control.rows("select distinct edition from title where edition is not null")
    return Ends(
        begun={row["plan"]: row["count"] for row in begun},
        ready={row["subject"]: row["count"] for row in await control.rows(COMPLETED)},
        editions=[row["edition"] for row in shown],
    )


async def _tell(control: Control, messages: list[Message]) -> None:
    for message in messages:
        await say(control, message)


async def _reap(control: Control) -> None:
    for _ in range(5):
        await reap(control)
        await asyncio.sleep(0.1)


async def published(farm: Farm) -> dict[str, str]:
    """All that viewers may fetch, by its checksum."""
    return {key: hashlib.sha256(await farm.bucket.get(key)).hexdigest() for key in await farm.keys("v/")}


async def wake(farm: Farm, plan: Plan, chunk: str, *, zombies: int) -> None:
    """So many attempts at a chunk that is done come to their end at once, each with bytes of its own."""

    async def one(number: int) -> None:
        attempt = publish.Attempt(farm.bucket, plan.version, chunk, f"zombie{number}")
        await attempt.write("240/0", [Piece(f"{n}.m4s", b"%d of zombie %d" % (n, number)) for n in range(2)])
        won = await attempt.win()
        assert not won.attempt.startswith("zombie")
        if await publish.ready(farm.bucket, plan.title, plan.version) is None:
            await publish.copy_winner(farm.bucket, won, title=plan.title, version=plan.version)

    await asyncio.gather(*(one(number) for number in range(zombies)))


async def changed(farm: Farm, plan: Plan, *, zombies: int) -> int:
    """How many published objects changed when stalled workers woke before and after the last step."""
    before = await published(farm)
    for chunk in plan.chunks:
        await wake(farm, plan, chunk, zombies=zombies)
    assert await farm.finalise(plan) == "done"
    whole = await published(farm)
    for chunk in plan.chunks:
        await wake(farm, plan, chunk, zombies=zombies)
        assert await farm.chunk(plan, chunk) == "done"
    assert await farm.finalise(plan) == "done"
    after = await published(farm)
    kept = {**whole, **before}
    return sum(after.get(key) != digest for key, digest in kept.items()) + len(after.keys() - kept.keys())
