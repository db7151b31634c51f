"""Jobs in tests: what was offered and withdrawn, what the reaper sees, what the farm says."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.control.jobs import actions
from gateway.control.jobs.leases import RedisLeases
from shared.jobs import ChunkDone, Failed, Message, Progress, Started
from shared.need import LEASES, Offer, WorkerState
from tests.support.control import Control
from tests.support.titles import Desk, planned_of, ready_of, tickets


async def begun(seller: Desk) -> tuple[str, str]:
    """A title with a queued job: both ids."""
    title = (await seller.title())["id"]
    return title, (await seller.queue(title)).id


async def sent(control: Control) -> list[str]:
    return tickets(await control.rows("select type, data from outbox where topic = 'task' order by seq"))


async def reap(
    control: Control, leases: RedisLeases | None = None, workers: Sequence[WorkerState] | None = None
) -> int:
    return await actions.reap(
        actions.Reaper(
            begin=control.wiring["begin"],
            leases=leases or control.wiring["leases"],
            bucket=control.wiring["bucket"],
            clock=control.clock,
            workers=workers,
            patience_s=control.settings.unfit_s,
        )
    )


async def leased(control: Control, work: str) -> None:
    """Somebody works at a piece."""
    seconds, _ = await control.wiring["events"].time()
    await control.wiring["events"].zadd(LEASES, {work: (seconds + 60) * 1000})


async def offers(control: Control) -> list[Offer]:
    """What was offered, in order."""
    rows = await control.rows("select data from outbox where type = 'farm.offer' order by seq")
    return [msgspec.convert(row["data"], Offer) for row in rows]


async def put(control: Control, key: str, data: bytes = b"{}") -> None:
    await control.wiring["bucket"].put(key, data)


async def withdrawn(control: Control) -> list[tuple[str, bool, str]]:
    """What was taken back, in order: the plan, whether viewers need not wait, whose workers stop."""
    rows = await control.rows("select data from outbox where type = 'farm.withdrawal' order by seq")
    return [tuple(row["data"][name] for name in ("plan", "is_over", "stop")) for row in rows]


def messages_of(job: str) -> list[Message]:
    """All that a farm may say of a job in one run, with a plan made anew and failures that are not final."""
    said: list[Message] = [planned_of(job), planned_of(job, "v0", ("0",)), ready_of(job), ready_of(job, "v0", "e0")]
    for chunk in ("0", "sound", "poster", "probe", "final", "9"):
        said += [Started(job=job, chunk=chunk, attempt="a"), Progress(job=job, chunk=chunk, renditions={"720": 0.7})]
        said += [ChunkDone(job=job, chunk=chunk), Failed(job=job, chunk=chunk, code="c", words="It broke.")]
    return said
