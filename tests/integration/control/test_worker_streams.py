"""What the worker reads: each entry of a stream is taken in once, whoever dies."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from gateway.control.worker import process
from gateway.control.worker.streams import GROUP, Reader, take_edge
from shared.errors import Unavailable
from shared.events import EDGE_STREAM, EVENTS, FARM_STREAM, Envelope
from shared.jobs import Started, cancel_key
from shared.need import of_plan, over
from tests.support.control import Control, control_settings, running_control
from tests.support.titles import desk, planned_of, ready_of
from tests.support.worker import events_of, farm_says, state_is, until, working


async def test_word_of_an_edge_comes_again_when_redis_did_not_take_it_on(control: Control, redis: Redis) -> None:
    told = Envelope("evt_1", "playback.refused", control.clock.now(), "sid", {"sid": "sid"})
    away = Redis(port=1)
    for events, refused in ((away, True), (redis, False)):
        with pytest.raises(Unavailable) if refused else contextlib.nullcontext():
            await take_edge("1-1", msgspec.json.encode(told), redis=events, begin=control.wiring["begin"])
    await away.aclose()
    assert len(await redis.xrange(EVENTS)) == 1


async def test_work_of_a_dead_worker_may_be_taken_again_within_half_a_second(
    tmp_path: Path, database_url: str, redis: Redis, redis_url: str, clock: Any
) -> None:
    settings = control_settings(tmp_path, database_url=database_url, redis_url=redis_url, lease_s=1)
    async with running_control(settings, clock) as control:
        seller = await desk(control)
        await seller.queue((await seller.title())["id"])
        async with working(control):
            await until(lambda: redis.llen("cpu"))
            taken = await control.wiring["needs"].take("w/0", ("cpu",), memory_bytes=1 << 40)
            assert taken is not None
            await redis.delete("cpu")
            await until(lambda: redis.llen("cpu"))
            again = await control.wiring["needs"].take("w/1", ("cpu",), memory_bytes=1 << 40)
            assert again == taken
            assert not await control.wiring["needs"].renew("w/0", taken.work), "who was dead for too long is told so"


async def test_cancelled_job_stops_its_workers_and_is_withdrawn(control: Control, redis: Redis) -> None:
    seller = await desk(control)
    job = await seller.queue((await seller.title())["id"])
    async with working(control):
        await farm_says(redis, planned_of(job.id))
        await until(lambda: redis.exists(of_plan("v1")))
        await seller.ask("POST", f"jobs/{job.id}/cancel")
        assert await redis.exists(cancel_key(job.id))
        await until(lambda: redis.exists(over("v1")))
        assert not await redis.exists(of_plan("v1"), of_plan(job.id))


async def test_farms_messages_move_the_job_when_the_worker_reads(control: Control, redis: Redis) -> None:
    seller = await desk(control)
    title = await seller.title()
    job = await seller.queue(title["id"])
    async with working(control):
        await farm_says(redis, planned_of(job.id))
        await redis.xadd(FARM_STREAM, {"e": b"not a message"})
        await redis.xadd(FARM_STREAM, {"x": b""})
        await farm_says(redis, ready_of(job.id))
        await until(lambda: state_is(control, job.id, "done"))

        async def nothing_pending() -> bool:
            return (await redis.xpending(FARM_STREAM, GROUP))["pending"] == 0

        await until(nothing_pending)
    assert (await seller.ask("GET", f"titles/{title['id']}"))["state"] == "ready"


async def test_message_counts_once_when_its_reader_died_before_the_acknowledgement(
    control: Control, redis: Redis
) -> None:
    seller = await desk(control)
    job = await seller.queue((await seller.title())["id"])
    await farm_says(redis, planned_of(job.id))
    await farm_says(redis, Started(job=job.id, chunk="0", attempt="a"))
    take = partial(process.streams.take_farm, begin=control.wiring["begin"], clock=control.clock)

    async def die(id: str, data: bytes) -> None:
        await take(id, data)
        if b"started" in data:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await Reader(redis, FARM_STREAM, die, consumer="one").step()
    await Reader(redis, FARM_STREAM, take, consumer="one").step()
    rows = await control.rows("select started from job_chunk where job = $1 and chunk = '0'", job.id)
    assert rows == [{"started": 1}]
    assert (await redis.xpending(FARM_STREAM, GROUP))["pending"] == 0


async def test_entries_of_a_dead_worker_are_taken_over_when_they_are_stale(
    control: Control, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process.streams, "STALE_MS", 0)
    seen: list[str] = []

    async def note(id: str, data: bytes) -> None:
        seen.append(data.decode())

    await redis.xadd("s", {"e": b"one"})
    await redis.xgroup_create("s", GROUP, id="0")
    await redis.xreadgroup(GROUP, "dead", {"s": ">"})
    await Reader(redis, "s", note, consumer="alive").claim()
    assert seen == ["one"]
    assert (await redis.xpending("s", GROUP))["pending"] == 0


async def test_edges_events_join_all_others_when_they_are_listed(control: Control, redis: Redis) -> None:
    good = Envelope("evt_1", "playback.start", control.clock.now(), "sid", {"sid": "sid"})
    bad = Envelope("evt_2", "playback.unheard", control.clock.now(), "sid", {})
    async with working(control):
        for envelope in (bad, good):
            await redis.xadd(EDGE_STREAM, {"e": msgspec.json.encode(envelope)})
        await until(lambda: redis.xlen(EVENTS))
    assert await events_of(redis) == [good]
