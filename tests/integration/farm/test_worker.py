"""`python -m farm` as it is run: tickets by Celery, work and messages by Redis, SIGTERM and SIGKILL."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
from celery import Celery
from redis.asyncio import Redis

from shared import jobs
from shared.events import FARM_STREAM
from shared.need import NORMAL, Needs, Offer, WorkerState, score
from shared.storage import names
from shared.storage.files import FolderBucket
from tests.support import media
from tests.support.farm import JOB, MASTER, TITLE
from tests.support.ports import free_port

DEADLINE_S = 60


class Worker:
    """A running worker, and what a control plane does with it."""

    def __init__(self, folder: Path, redis: Redis, redis_url: str, port: int) -> None:
        self.bucket, self.redis, self.port = FolderBucket(folder / "bucket"), redis, port
        self.process: asyncio.subprocess.Process | None = None
        self._folder, self._url = folder, redis_url
        self._celery = Celery(broker=redis_url, set_as_current=False)
        self.needs = Needs(redis, lease_s=2)

    async def start(self, **settings: str) -> asyncio.subprocess.Process:
        environ = {
            "PATH": os.environ["PATH"],
            "USHER_BUCKET": str(self._folder / "bucket"),
            "USHER_SCRATCH_DIR": str(self._folder / "scratch"),
            "USHER_REDIS_URL": self._url,
            "USHER_PRIVATE_PORT": str(self.port),
            "USHER_ENCODER": "x264",
            "USHER_LEASE_S": "2",
            **settings,
        }
        with (self._folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "farm", env=environ, stdout=log, stderr=log
            )
        return self.process

    def close(self) -> None:
        self._celery.close()

    async def offer(self, plan: str, work: dict[str, jobs.Ticket]) -> None:
        """Let pieces be taken, and send as many tickets."""
        scores = {chunk: score(NORMAL, position) for position, chunk in enumerate(work)}
        await self.needs.offer(Offer(plan, jobs.CPU_QUEUE, "seller", 0, 1.0, 0, work, scores))
        self.hasten(len(work))

    async def chunks(self, version: str, *chunks: str) -> None:
        await self.offer(version, {chunk: jobs.ChunkTicket(JOB, TITLE, version, chunk) for chunk in chunks})

    def hasten(self, tickets: int = 1) -> None:
        with self._celery.connection_for_write() as connection:
            for _ in range(tickets):
                self._celery.send_task(jobs.WORK, queue=jobs.CPU_QUEUE, connection=connection)

    async def wait_for(self, kind: type[jobs.Message], count: int = 1) -> list[jobs.Message]:
        """Messages of a kind, once there are so many."""
        until = time.monotonic() + DEADLINE_S
        while True:
            entries = await self.redis.xrange(FARM_STREAM)
            found = [msgspec.json.decode(fields[b"e"], type=jobs.Message) for _, fields in entries]
            if len(wanted := [message for message in found if isinstance(message, kind)]) >= count:
                return wanted
            assert time.monotonic() < until, (found, (self._folder / "log").read_text()[-3000:])
            await asyncio.sleep(0.05)

    async def planned(self, master: Path) -> jobs.Planned:
        await self.bucket.put_file(MASTER, master)
        await self.offer(JOB, {"probe": jobs.ProbeTicket(JOB, TITLE, "upl_1", MASTER, "")})
        (found,) = await self.wait_for(jobs.Planned)
        assert isinstance(found, jobs.Planned)
        return found

    def ask(self, path: str) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return f"{error.code} {error.read().decode()}"


@contextlib.asynccontextmanager
async def worker(folder: Path, redis: Redis, redis_url: str) -> AsyncIterator[Worker]:
    made = Worker(folder, redis, redis_url, free_port())
    try:
        yield made
    finally:
        made.close()
        if made.process is not None and made.process.returncode is None:
            made.process.kill()
            await made.process.wait()


async def until(condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


def endless(folder: Path) -> str:
    """A fake ffmpeg that says who it is, makes progress, and never ends."""
    path = folder / "fake-ffmpeg"
    path.write_text(
        f'#!/bin/sh\n[ "$1" = -version ] && echo "ffmpeg version 9.9" && exit 0\n'
        f'case "$*" in *testsrc2*) exit 0;; esac\necho $$ >> {folder}/pids\nn=0\n'
        "while :; do n=$((n+1)); echo frame=$n; echo progress=continue; sleep 0.1; done\n"
    )
    path.chmod(0o755)
    return str(path)


def pids(folder: Path) -> list[int]:
    path = folder / "pids"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


async def test_tickets_make_a_title_and_outcomes_are_counted(tmp_path: Path, redis: Redis, redis_url: str) -> None:
    async with worker(tmp_path, redis, redis_url) as farm:
        await farm.start()
        plan = await farm.planned(media.plain())
        await farm.chunks(plan.version, *plan.chunks)
        await farm.wait_for(jobs.ChunkDone, len(plan.chunks))
        await farm.offer(plan.version, {"final": jobs.FinaliseTicket(JOB, TITLE, plan.version)})
        farm.hasten(3)
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

        assert await asyncio.wait_for(process.wait(), 10) == 0
        assert not Path(f"/proc/{pids(tmp_path)[0]}").exists()
        assert await farm.needs.leased([f"{plan.version} 0"]) == {f"{plan.version} 0": False}
        assert await farm.needs.held([f"{plan.version} 0"]) == {f"{plan.version} 0": True}
        assert len(await farm.wait_for(jobs.GivenBack)) == 1
        farm.hasten()
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
        end = time.monotonic() + DEADLINE_S
        while f"{plan.version} 0" not in await farm.needs.reclaim():
            assert time.monotonic() < end
            await asyncio.sleep(0.05)
        farm.hasten()
        await farm.start()
        await farm.wait_for(jobs.ChunkDone)
        assert len([key async for key in farm.bucket.list_prefix(f"work/{plan.version}/0/done")]) == 1


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
