"""Completions of chunks that come shuffled, doubled and at once, beside the reaper: the last step begins once."""

from __future__ import annotations

import asyncio
import random

import msgspec

from gateway.control.jobs import actions
from shared.jobs import ChunkDone, Message
from shared.storage import names
from tests.support.control import Control
from tests.support.titles import desk, planned_of, ready_of, say

JOBS, CHUNKS = 10, 50
FINALS = """
select data->>'plan' as plan, count(*)::int as count from outbox
where type = 'farm.offer' and data->'work' ? 'final' group by 1
"""
COMPLETED = "select subject, count(*)::int as count from outbox where type = 'transcode.completed' group by 1"


async def test_five_hundred_completions_in_any_order_begin_each_last_step_once(control: Control) -> None:
    draw, bucket = random.Random(1), control.wiring["bucket"]
    seller = await desk(control)
    jobs = [(await seller.queue((await seller.title())["id"])).id for _ in range(JOBS)]
    said: list[Message] = []
    for number, job in enumerate(jobs):
        version = f"v{number}"
        chunks = tuple(str(chunk) for chunk in range(CHUNKS))
        await say(control, planned_of(job, version, chunks))
        for chunk in chunks:
            await bucket.put(names.done(version, chunk), b"{}")
            said += [ChunkDone(job, chunk, version)] * 2
    draw.shuffle(said)

    async def tell(messages: list[Message]) -> None:
        for message in messages:
            await say(control, message)

    async def reap() -> None:
        for _ in range(5):
            ports = {name: control.wiring[name] for name in ("begin", "leases", "bucket")}  # type: ignore[literal-required]
            await actions.reap(**ports, clock=control.clock)
            await asyncio.sleep(0.1)

    await asyncio.gather(*(tell(said[start::3]) for start in range(3)), reap())

    assert {row["plan"]: row["count"] for row in await control.rows(FINALS)} == {f"v{n}": 1 for n in range(JOBS)}
    ends = [ready_of(job, f"v{number}") for number, job in enumerate(jobs) for _ in range(3)]
    late = msgspec.structs.replace(ends[0], edition="another")
    await asyncio.gather(*(tell([*ends[start::3], *said[:20]]) for start in range(3)))
    await say(control, late)
    assert {row["subject"]: row["count"] for row in await control.rows(COMPLETED)} == dict.fromkeys(jobs, 1)
    shown = await control.rows("select distinct edition from title where edition is not null")
    assert shown == [{"edition": "e1"}]
