"""A small farm at work: workers of one thread each on one need, offered what control would, and an edge beside them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks import client
from benchmarks import stage as stages
from benchmarks.farm.cpu import Failed
from benchmarks.farm.films import Film
from benchmarks.farm.stage import Stage
from farm import tasks
from farm.encoders.x264 import X264
from farm.engine import Engine
from farm.tasks import Floor
from shared import jobs
from shared.events import FARM_STREAM
from shared.jobs import FINAL_CHUNK, PROBE_CHUNK, Planned, Ticket
from shared.need import FIRST, Offer, score
from shared.settings import FarmSettings
from shared.tasks import end

JOB, UPLOAD = "job_bench", "upl_bench"
MASTER: Final = f"masters/{stages.TITLE}/{UPLOAD}"
#: One thread each: what a pod of one core does.
WORKERS: Final = min(2, len(os.sched_getaffinity(0)))
#: Seconds a player waits after a 503, as hls.js does here.
AGAIN_S: Final = 0.5
TOO_LONG_S: Final = 3600.0


class Line:
    """One title on its way through the farm, watched by a player. Times are ticks of the monotonic clock."""

    def __init__(self, on: Floor, edge: stages.Server, token: str) -> None:
        self._on, self._edge, self._token = on, edge, token
        self._stop = asyncio.Event()
        self._open: set[str] = set()
        self.planned: asyncio.Future[Planned] = asyncio.get_running_loop().create_future()
        self.ready: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        #: When pieces of work were begun, and when they are done.
        self.started: dict[str, float] = {}
        self._done: dict[str, asyncio.Future[float]] = {}

    async def submit(self, master: Path) -> float:
        """Upload a master and let it be probed; when the upload was over and that was offered."""
        await self._on.bucket.put_file(MASTER, master)
        ticket, uploaded = jobs.ProbeTicket(JOB, stages.TITLE, UPLOAD, MASTER, ""), time.monotonic()
        await self._offer(JOB, {PROBE_CHUNK: ticket}, {PROBE_CHUNK: score(FIRST)})
        return uploaded

    async def work(self, name: str, on: Floor) -> None:
        """Take piece after piece until cancelled."""
        while True:
            await tasks.next_work(on, name, self._stop)

    async def steer(self) -> None:
        """Do what control does with what workers say, until cancelled."""
        last: bytes | str = "0"
        while True:
            found: Any = await self._on.redis.xread({FARM_STREAM: last}, block=200)
            for entry, fields in found[0][1] if found else ():
                await self._take(msgspec.json.decode(fields[b"e"], type=jobs.Message))
                last = entry

    def done(self, chunk: str) -> asyncio.Future[float]:
        """When a piece is done."""
        return self._done.setdefault(chunk, asyncio.get_running_loop().create_future())

    async def fetch(self, key: str) -> float:
        """Ask the edge as a player does, again and again; when it was there."""
        link = await client.Line.open(self._edge.port)
        try:
            async with asyncio.timeout(TOO_LONG_S):
                answer = await link.get(f"/t/{self._token}/{key}")
                while answer.status == 503:
                    await asyncio.sleep(AGAIN_S)
                    answer = await link.get(f"/t/{self._token}/{key}")
        finally:
            link.close()
        if answer.status != 200 or not answer.body:
            raise Failed(f"{key} was answered {answer.status}")
        return time.monotonic()

    async def _take(self, message: jobs.Message) -> None:
        if isinstance(message, Planned):
            self._open = set(message.chunks)
            work: dict[str, Ticket] = {
                chunk: jobs.ChunkTicket(JOB, stages.TITLE, message.version, chunk) for chunk in message.chunks
            }
            await self._offer(message.version, work, {piece.chunk: piece.score for piece in message.pieces})
            self.planned.set_result(message)
        elif isinstance(message, jobs.Started):
            self.started.setdefault(message.chunk, time.monotonic())
        elif isinstance(message, jobs.ChunkDone):
            if not (done := self.done(message.chunk)).done():
                done.set_result(time.monotonic())
            self._open.discard(message.chunk)
            if not self._open:
                version = (await self.planned).version
                final = jobs.FinaliseTicket(JOB, stages.TITLE, version)
                await self._offer(version, {FINAL_CHUNK: final}, {FINAL_CHUNK: score(FIRST)})
        elif isinstance(message, jobs.Ready):
            self.ready.set_result(time.monotonic())
        elif isinstance(message, jobs.Failed):
            raise Failed(message.words)

    async def _offer(self, plan: str, work: dict[str, Ticket], scores: dict[str, float]) -> None:
        await self._on.needs.offer(
            Offer(plan, jobs.CPU_QUEUE, "seller", 0, 30.0, int(time.time() * 1000), work, scores)
        )


@contextlib.asynccontextmanager
async def line(stage: Stage, *, workers: int = WORKERS) -> AsyncIterator[Line]:
    """A line that runs: Valkey, edge and workers. Ends with its work undone, if it is."""
    async with stages.standing() as house:
        edge, _ = await house.edge("farm")
        settings = FarmSettings(
            home=house.folder,
            bucket=str(house.bucket),
            scratch_dir=house.folder / "scratch",
            redis_url=house.redis_of("farm"),
            threads=1,
        )
        async with contextlib.AsyncExitStack() as held:
            floors = [
                await held.enter_async_context(
                    tasks.floor(settings, Engine(_on_core(stage.ffmpeg, core, house.folder), "bench", X264))
                )
                for core in sorted(os.sched_getaffinity(0))[:workers]
            ]
            running = Line(floors[0], edge, house.mint.draw(1)[0])
            work = [asyncio.create_task(running.work(f"worker-{at}", on)) for at, on in enumerate(floors)]
            steering = asyncio.create_task(running.steer())
            # What goes wrong in it must not be waited for.
            steering.add_done_callback(lambda task: _tell(task, running))
            try:
                yield running
            finally:
                await end(steering, *work)


def _on_core(ffmpeg: str, core: int, folder: Path) -> str:
    """The ffmpeg of a pod of one core: with one thread an encoder it still keeps 1.7 cores busy where it finds them."""
    program = folder / f"ffmpeg-on-{core}"
    program.write_text(f'#!/bin/sh\nexec taskset -c {core} {shlex.quote(ffmpeg)} "$@"\n')
    program.chmod(0o755)
    return str(program)


def _tell(task: asyncio.Task[None], running: Line) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        for waited in (running.planned, running.ready):
            if not waited.done():
                waited.set_exception(error)


async def long_film(stage: Stage, seconds: float, *, quick: float, size: str = "1280x720") -> Path:
    """A master of that length: one of 24 s, again and again."""
    size = "320x180" if stage.quick else size
    part = Film(size=size, seconds=12 if stage.quick else 24)
    times = round(stage.seconds(seconds, quick=quick) / part.seconds)
    options = ("-stream_loop", str(times - 1), "-i", str(await stage.film(part)), "-c", "copy")
    return await stage.films.made(f"{times}-times-{part.name}", *options)
