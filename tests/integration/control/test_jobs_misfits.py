"""Jobs that no worker of the farm can go on with: what they say, and when they end."""

from __future__ import annotations

import httpx2
import msgspec

from shared.jobs import ChunkDone
from shared.need import WorkerState
from tests.support.control import Control, make_admin, register
from tests.support.jobs import begun, leased, offers, reap
from tests.support.titles import Desk, planned_of, say

GIB = 1 << 30
SMALL = WorkerState("small", ("cpu",), "x264", "9", memory_bytes=2 * GIB)
BIG = msgspec.structs.replace(SMALL, name="big", memory_bytes=8 * GIB)
WORDS = "This master needs workers with 5.5 GiB of memory for each piece of work; the largest one has 2.0 GiB."


async def large(control: Control, seller: Desk) -> str:
    """A job whose chunks need 5.5 GiB each."""
    _, job = await begun(seller)
    await say(control, msgspec.structs.replace(planned_of(job), memory_bytes=11 * GIB // 2))
    return job


async def waits_for(seller: Desk, job: str) -> str | None:
    shown = await seller.ask("GET", f"jobs/{job}")
    assert (shown["state"], shown["last_error"]) == ("encoding", None)
    return None if shown["waits_for"] is None else str(shown["waits_for"])


async def test_job_that_needs_more_memory_than_any_worker_has_says_so_and_fails_in_the_end(
    control: Control, seller: Desk
) -> None:
    job = await large(control, seller)
    await reap(control, workers=[SMALL])
    assert await waits_for(seller, job) == WORDS
    admin: httpx2.AsyncClient = control.browser("10.5.0.1")
    await make_admin(control, (await register(admin, "ada"))["id"])
    assert (await admin.get(f"/v1/farm/jobs/{job}")).json()["job"]["last_error"] == WORDS
    control.clock.advance(control.settings.unfit_s - 1)
    await reap(control, workers=[SMALL])
    assert await waits_for(seller, job) == WORDS

    control.clock.advance(1)
    await reap(control, workers=[SMALL])

    shown = await seller.ask("GET", f"jobs/{job}")
    assert (shown["state"], shown["last_error"], shown["waits_for"]) == ("failed", WORDS, None)


async def test_wait_begins_anew_when_a_worker_fitted_in_between(control: Control, seller: Desk) -> None:
    job = await large(control, seller)
    await reap(control, workers=[SMALL])
    control.clock.advance(control.settings.unfit_s)
    await reap(control, workers=[SMALL, BIG])
    assert await waits_for(seller, job) is None
    await reap(control, workers=[SMALL])
    assert await waits_for(seller, job) == WORDS


async def test_wait_does_not_count_when_somebody_is_at_it_or_nobody_is_known(control: Control, seller: Desk) -> None:
    job = await large(control, seller)
    await reap(control, workers=[SMALL])
    control.clock.advance(control.settings.unfit_s)
    await reap(control, workers=None)
    assert await waits_for(seller, job) == WORDS, "nobody can say"
    await reap(control, workers=[])
    assert await waits_for(seller, job) is None
    await leased(control, "v1 0")
    await reap(control, workers=[SMALL])
    assert await waits_for(seller, job) is None


async def test_job_for_cards_is_planned_anew_when_no_card_comes(control: Control, seller: Desk) -> None:
    _, job = await begun(seller)
    plan = msgspec.structs.replace(planned_of(job), queue="gpu", encoder="nvenc", memory_bytes=GIB)
    await say(control, plan)
    await reap(control, workers=[BIG])
    assert await waits_for(seller, job) == "None of the workers that run now takes work from the queue gpu."
    control.clock.advance(control.settings.unfit_s)

    await reap(control, workers=[BIG])

    shown = await seller.ask("GET", f"jobs/{job}")
    assert (shown["state"], shown["waits_for"]) == ("queued", None)
    again = (await offers(control))[-1]
    assert (list(again.work), again.queue, again.memory_bytes) == (["probe"], "cpu", 0)


async def test_last_step_of_a_job_for_cards_is_anybodys(control: Control, seller: Desk) -> None:
    _, job = await begun(seller)
    plan = planned_of(job, chunks=("0",))
    await say(control, msgspec.structs.replace(plan, queue="gpu", encoder="nvenc", memory_bytes=6 * GIB))
    (chunk,) = [offer for offer in await offers(control) if "0" in offer.work]
    assert (chunk.queue, chunk.memory_bytes) == ("gpu", 6 * GIB)
    await say(control, ChunkDone(job, "0"))
    last = (await offers(control))[-1]
    assert (list(last.work), last.queue, last.memory_bytes) == (["final"], "cpu", 0)
