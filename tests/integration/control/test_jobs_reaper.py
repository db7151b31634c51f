"""The reaper: what got lost is offered again, and what was lost too often ends its job."""

from __future__ import annotations

import asyncio
from typing import cast

import msgspec
import pytest

from gateway.control.jobs import actions as jobs
from gateway.control.jobs.actions import reaper
from gateway.control.jobs.leases import RedisLeases
from gateway.control.wiring import Wiring
from gateway.control.worker import process
from shared.errors import Unavailable
from shared.jobs import ChunkDone, Failed, GivenBack, Started
from shared.metrics import REGISTRY
from shared.need import Needs, of_plan
from shared.storage import names
from tests.support.control import Control
from tests.support.jobs import begun, leased, offers, put, reap, sent
from tests.support.titles import Desk, planned_of, ready_of, say


async def test_reaper_offers_again_what_was_lost_and_only_that(control: Control, seller: Desk) -> None:
    _, job = await begun(seller)
    await say(control, planned_of(job))
    for chunk in ("0", "sound"):
        await say(control, Started(job=job, chunk=chunk, attempt="a"))
    await leased(control, "v1 sound")
    await put(control, names.done("v1", "poster"))
    control.clock.advance(4)
    assert await reap(control) == 0, "the offer is young"
    control.clock.advance(2)
    assert await reap(control) == 1
    assert (await sent(control))[-1] == "chunk:0"
    rows = await control.rows(
        "select chunk, lost, done_at is not null as done from job_chunk where job = $1 order by 1", job
    )
    found = {row["chunk"]: (row["lost"], row["done"]) for row in rows}
    assert (found["0"], found["poster"], found["sound"]) == ((1, False), (0, True), (0, False))
    assert await reap(control) == 0


async def test_reaper_waits_when_redis_lost_its_memory(control: Control, seller: Desk) -> None:
    _, job = await begun(seller)
    await say(control, planned_of(job, chunks=("0",)))
    await say(control, Started(job=job, chunk="0", attempt="a"))
    control.clock.advance(31)
    now = [0.0]
    redis = control.wiring["redis"]
    leases = RedisLeases(redis, Needs(redis, lease_s=15), lease_s=15, clock=lambda: now[0])
    wiring, reap_now = cast(Wiring, {**control.wiring, "leases": leases}), asyncio.Event()
    await process.look(wiring, reap_now)
    leases._run = "another"
    await process.look(wiring, reap_now)
    assert await reap(control, leases) == 0
    assert not reap_now.is_set()
    now[0] = 7.5
    await process.look(wiring, reap_now)
    assert reap_now.is_set(), "the reaper looks as soon as it can tell what was lost"
    reap_now.clear()
    await process.look(wiring, reap_now)
    assert not reap_now.is_set()
    assert await reap(control, leases) == 1


async def test_job_that_cannot_be_looked_at_holds_up_no_other(
    control: Control, seller: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        _, job = await begun(seller)
        await say(control, planned_of(job, f"v-{job}", chunks=("0",)))
    control.clock.advance(31)
    looked_at, seen = reaper._reap_one, []

    async def broken(id: str, on: jobs.Reaper) -> int:
        seen.append(id)
        if len(seen) == 1:
            raise ValueError("not this one")
        return await looked_at(id, on)

    monkeypatch.setattr(reaper, "_reap_one", broken)
    assert (await reap(control), len(seen)) == (1, 2)


async def test_reaper_leaves_what_waits_to_be_taken(control: Control, seller: Desk) -> None:
    _, job = await begun(seller)
    await control.wiring["needs"].offer((await offers(control))[0])
    control.clock.advance(600)
    assert await reap(control) == 0
    await control.wiring["events"].delete(of_plan(job))
    assert await reap(control) == 1
    assert await sent(control) == ["probe", "probe"]


async def test_reaper_finalises_when_all_markers_are_there(control: Control, seller: Desk) -> None:
    title, job = await begun(seller)
    await say(control, planned_of(job, chunks=("0",)))
    await put(control, names.done("v1", "0"))
    await reap(control)
    assert await sent(control) == ["probe", "chunk:0", "finalise"]
    for one, edition in ((job, "e9"), ("job_of_another_try", "e8")):
        ready = msgspec.structs.replace(ready_of(one), edition=edition)
        await put(control, names.ready_message("v1", one), msgspec.json.encode(ready))
    await reap(control)
    assert (await seller.ask("GET", f"jobs/{job}"))["state"] == "finalising", "ready.json is not there"
    await put(control, names.ready(title, "v1"))
    await reap(control)
    assert (await seller.ask("GET", f"jobs/{job}"))["state"] == "done"
    assert (await control.rows("select edition from title where id = $1", title)) == [{"edition": "e9"}]


@pytest.mark.parametrize("chunk", ["0", "probe"])
async def test_job_fails_when_twenty_workers_were_lost(control: Control, seller: Desk, chunk: str) -> None:
    _, job = await begun(seller)
    if chunk != "probe":
        await say(control, planned_of(job, chunks=(chunk,)))
    for n in range(20):
        await say(control, Started(job=job, chunk=chunk, attempt=f"a{n}"), entry=f"s{n}")
        control.clock.advance(6)
        await reap(control)
    shown = await seller.ask("GET", f"jobs/{job}")
    assert shown["state"] == "failed" and shown["last_error"].startswith("The workers that made this title stopped")
    assert shown["attempts"] == 20 and not shown["refused"], "another try may help"


async def test_lost_workers_and_failures_are_counted_apart(control: Control, seller: Desk) -> None:
    _, job = await begun(seller)
    await say(control, planned_of(job, chunks=("0",)))

    async def counted() -> tuple[int, ...]:
        rows = await control.rows("select started, failures, lost from job_chunk where job = $1 and chunk = '0'", job)
        return tuple(rows[0].values())

    began = [Started(job=job, chunk="0", attempt=f"a{n}", version="v1") for n in range(6)]
    await say(control, began[0])
    await say(control, began[1])
    assert await counted() == (2, 0, 1), "who began before and was not heard of is lost"
    await say(control, GivenBack(job=job, chunk="0", version="v1"))
    assert await counted() == (1, 0, 1), "what was given back does not count"
    await say(control, began[2])
    await say(control, Failed(job=job, chunk="0", code="encode-failed", words="Killed.", lost=True, version="v1"))
    assert await counted() == (2, 0, 2)
    await say(control, began[3])
    await say(control, Failed(job=job, chunk="0", code="exit", words="It broke.", version="v1"))
    assert await counted() == (3, 1, 2)
    await say(control, Started(job=job, chunk="0", attempt="b", version="v0"))
    await say(control, Failed(job=job, chunk="0", code="exit", words="It broke.", version="v0"))
    await say(control, ChunkDone(job=job, chunk="0", version="v0"))
    assert await counted() == (3, 1, 2), "what an older plan says changes nothing"
    assert (await seller.ask("GET", f"jobs/{job}"))["state"] == "encoding"


async def test_a_lost_worker_is_shown_once_however_late_and_often_it_says_so(control: Control, seller: Desk) -> None:
    def shown() -> float:
        whys = ("vanished", "killed")
        return sum(REGISTRY.get_sample_value("usher_farm_lost_total", {"why": why}) or 0.0 for why in whys)

    _, job = await begun(seller)
    await say(control, planned_of(job, chunks=("0",)))
    await say(control, Started(job=job, chunk="0", attempt="a", version="v1"))
    before = shown()
    control.clock.advance(6)
    assert await reap(control) == 1
    assert shown() == before + 1
    late = Failed(job=job, chunk="0", code="killed", words="Killed.", lost=True, version="v1")
    for _ in range(2):
        await say(control, late, entry="late")
    assert shown() == before + 1
    await say(control, Started(job=job, chunk="0", attempt="b", version="v1"), entry="b")
    for _ in range(2):
        await say(control, late, entry="another")
    assert shown() == before + 2


async def test_what_a_transaction_counted_is_shown_once_it_is_committed(control: Control, seller: Desk) -> None:
    def shown() -> float | None:
        return REGISTRY.get_sample_value("usher_farm_refused_total", {"code": "not-committed"})

    _, job = await begun(seller)
    refused = Failed(job=job, chunk="probe", code="not-committed", words="This is a text file.", final=True)
    with pytest.raises(Unavailable):
        async with control.wiring["begin"]() as unit:
            ports = {"jobs": unit.jobs, "titles": unit.catalogue, "outbox": unit.outbox}
            await jobs.apply(refused, **ports, clock=control.clock, entry="refused")  # type: ignore[arg-type]
            raise Unavailable("The database is gone.")
    assert not shown()
    await say(control, refused, entry="refused")
    assert shown() == 1


async def test_what_is_not_offered_again_is_not_counted_as_such(control: Control, seller: Desk) -> None:
    def shown() -> float:
        return REGISTRY.get_sample_value("usher_jobs_reenqueued_total", {"task": "ChunkTicket"}) or 0.0

    _, job = await begun(seller)
    await say(control, planned_of(job, chunks=("0", "1")))
    counted = []
    for n in range(20):
        await say(control, Started(job=job, chunk="1", attempt=f"a{n}"), entry=f"s{n}")
        control.clock.advance(6)
        before = shown()
        await reap(control)
        counted.append(shown() - before)
    assert (await seller.ask("GET", f"jobs/{job}"))["state"] == "failed"
    assert counted == [2] * 19 + [0]
