"""`python -m farm` as it is run: tickets by Celery, work and messages by Redis, SIGTERM and SIGKILL."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path

from redis.asyncio import Redis

from farm.ear import Ear
from shared import jobs
from shared.need import WorkerState
from shared.storage import names
from tests.support import corpus, media
from tests.support.farm import JOB, TITLE
from tests.support.farm_process import DEADLINE_S, Worker, endless, pids, until, worker
from tests.support.ports import free_base, free_port
from tests.support.valkey import valkey


async def test_tickets_make_a_title_and_outcomes_are_counted(tmp_path: Path, redis: Redis, redis_url: str) -> None:
    async with worker(tmp_path, redis, redis_url) as farm:
        await farm.start()
        plan = await farm.planned(media.plain())
        await farm.chunks(plan.version, *plan.chunks)
        await farm.wait_for(jobs.ChunkDone, len(plan.chunks))
        await farm.offer(plan.version, {"final": jobs.FinaliseTicket(JOB, TITLE, plan.version)})
        await farm.hasten(3)
        (ready,) = await farm.wait_for(jobs.Ready)

        assert isinstance(ready, jobs.Ready)
        assert await farm.bucket.head(names.multivariant(TITLE, ready.edition, ready.ceilings[0])) is not None
        assert farm.ask("/readyz") == "ready\n"
        await until(lambda: 'usher_farm_chunks_total{outcome="done"} 5.0' in farm.ask("/metrics"))


async def test_sigterm_stops_ffmpeg_and_gives_the_work_back(tmp_path: Path, redis: Redis, redis_url: str) -> None:
    async with worker(tmp_path, redis, redis_url) as farm:
        process = await farm.start(USHER_FFMPEG=endless(tmp_path))
        plan = await farm.planned(media.plain())
        await farm.chunks(plan.version, "0")
        await until(lambda: pids(tmp_path))

        process.send_signal(signal.SIGTERM)

        assert await asyncio.wait_for(process.wait(), DEADLINE_S) == 0
        assert not Path(f"/proc/{pids(tmp_path)[0]}").exists()
        assert await farm.needs.leased([f"{plan.version} 0"]) == {f"{plan.version} 0": False}
        assert await farm.needs.held([f"{plan.version} 0"]) == {f"{plan.version} 0": True}
        assert len(await farm.wait_for(jobs.GivenBack)) == 1
        await farm.hasten()
        await farm.start()
        await farm.wait_for(jobs.ChunkDone)


async def test_sigkill_leaves_no_process_and_work_that_may_be_taken(
    tmp_path: Path, redis: Redis, redis_url: str
) -> None:
    async with worker(tmp_path, redis, redis_url) as farm:
        process = await farm.start(USHER_FFMPEG=endless(tmp_path))
        plan = await farm.planned(media.plain())
        await farm.chunks(plan.version, "0")
        await until(lambda: pids(tmp_path))

        process.kill()
        await process.wait()

        await until(lambda: not Path(f"/proc/{pids(tmp_path)[0]}").exists())
        await farm.reclaimed(f"{plan.version} 0")
        await farm.hasten()
        await farm.start()
        await farm.wait_for(jobs.ChunkDone)
        assert len([key async for key in farm.bucket.list_prefix(f"work/{plan.version}/0/done")]) == 1


#: Makes the first worker of a folder deaf once it is up, as Celery is at times after its broker was away.
DEAFEN = """
import pathlib
from celery import signals
def deafen(sender, **_):
    mark = pathlib.Path({folder!r}, "deaf")
    if not mark.exists():
        mark.touch()
        sender.call_soon(sender.cancel_task_queue, "cpu")
signals.worker_ready.connect(deafen, weak=False)
"""


async def test_bad_masters_leave_the_worker_alive(tmp_path: Path, redis: Redis, redis_url: str) -> None:
    bad = (corpus.many_streams(10_000), corpus.vast(), corpus.trick("HLS"), corpus.no_pace())
    async with worker(tmp_path, redis, redis_url) as farm:
        process = await farm.start()
        for number, master in enumerate(bad):
            job, key = f"job_bad{number}", f"masters/bad{number}"
            await farm.bucket.put_file(key, master)
            await farm.offer(job, {"probe": jobs.ProbeTicket(job, TITLE, "upl_1", key, "")})
        await farm.hasten(len(bad))
        refused = await farm.wait_for(jobs.Failed, len(bad))

        assert all(isinstance(one, jobs.Failed) and one.final and one.words for one in refused), refused
        assert (await farm.planned(media.plain())).version
        assert process.returncode is None


async def test_a_worker_that_went_deaf_begins_anew(tmp_path: Path, redis: Redis, redis_url: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(DEAFEN.format(folder=str(tmp_path)))
    async with worker(tmp_path, redis, redis_url) as farm:
        process = await farm.start(PYTHONPATH=str(tmp_path))
        await until(lambda: (tmp_path / "deaf").exists())

        plan = await farm.planned(media.plain())

        assert plan.version
        assert process.returncode is None
        assert "begins anew" in (tmp_path / "log").read_text()


async def test_a_worker_hears_on_though_a_ticket_could_not_be_acknowledged(
    tmp_path: Path, redis: Redis, redis_url: str
) -> None:
    with valkey(free_base(1)) as broker:
        async with worker(tmp_path, redis, redis_url, broker_url=broker.url) as farm:
            await farm.start()
            await farm.hasten(60)
            for _ in range(3000):
                if await farm.hasten(60):  # one was taken
                    break
                await asyncio.sleep(0.02)
            broker.kill()
            await until(lambda: "Connection to broker lost" in (tmp_path / "log").read_text())
            broker.start()

            plan = await farm.planned(media.plain())

            assert plan.version
            assert "begins anew" not in (tmp_path / "log").read_text()


async def test_an_ear_takes_a_broker_that_is_away_for_silence() -> None:
    ear = Ear(f"redis://127.0.0.1:{free_port()}/0", ["cpu"])

    assert not await asyncio.to_thread(ear.is_deaf, heard=0, is_idle=True, now=0.0)
    assert not await asyncio.to_thread(ear.is_deaf, heard=0, is_idle=True, now=600.0)


async def heard(farm: Worker, condition: Callable[[WorkerState], bool]) -> WorkerState:
    """What the only worker tells of itself, once that is so."""
    end = time.monotonic() + DEADLINE_S
    while not ((states := await farm.needs.workers()) and condition(states[0])):
        assert time.monotonic() < end, states
        await asyncio.sleep(0.05)
    return states[0]


async def test_a_worker_tells_how_it_does_and_leaves_when_it_is_drained(
    tmp_path: Path, redis: Redis, redis_url: str
) -> None:
    async with worker(tmp_path, redis, redis_url) as farm:
        process = await farm.start(USHER_FFMPEG=endless(tmp_path), USHER_WORKER_NAME="mill-1")
        plan = await farm.planned(media.plain())
        await farm.chunks(plan.version, "0")
        state = await heard(farm, lambda state: state.running == (f"{plan.version} 0",))
        assert (state.name, state.queues, state.encoder) == ("mill-1", ("cpu",), "x264")

        await farm.needs.cordon("mill-1", "drain")
        await heard(farm, lambda state: state.cordoned == "drain")
        assert process.returncode is None, "it leaves when nothing is in work"
        await redis.set(jobs.cancel_key(JOB), 1)

        assert await asyncio.wait_for(process.wait(), DEADLINE_S) == 0


async def test_a_wrong_setting_stops_the_start_in_words(tmp_path: Path, redis: Redis, redis_url: str) -> None:
    async with worker(tmp_path, redis, redis_url) as farm:
        process = await farm.start(USHER_FFMPEG="/nowhere/ffmpeg")

        assert await process.wait() == 2
        assert "/nowhere/ffmpeg does not run" in (tmp_path / "log").read_text()
