"""T5: how much of eight workers' time is work, and what a second worker of one thread adds."""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from redis.asyncio import Redis

from benchmarks import stage as stages
from benchmarks.farm.line import long_film
from benchmarks.farm.stage import Stage
from benchmarks.report import Row
from farm import prober
from farm.media import MediaInfo, Picture, Sound
from farm.plan import ChunkPlan, Order, Plan, Recipe
from farm.planning import plan
from gateway.control.worker.broker import Broker
from gateway.control.worker.dispatch import Dispatch
from shared import jobs
from shared.events import FARM_STREAM
from shared.need import NORMAL, Needs, Offer, score
from shared.storage import names
from shared.storage.files import FolderBucket

WORKERS, ROUNDS, PIECE_S = 8, 8, 10.0
#: A film of as many equal chunks for each of two workers, but for the first, which is short; so many of them that the
#: wait for whoever has the last one weighs little, as in a master of any length.
FILM_S, FILM_SIZE = 888, "480x270"
START_WITHIN_S = 120.0
TITLE, JOB, MASTER = "ttl_bench", "job_bench", "masters/ttl_bench/upl_bench"
#: A worker as it is run, and one whose pieces take a fixed time and no CPU.
WORKER = "import sys; from farm import __main__; sys.exit(__main__.main())"
TIMED = """
import asyncio, sys
from farm import __main__, chunks
async def make(making, attempt):
    await asyncio.sleep({seconds})
    return await attempt.win()
chunks.make = make
sys.exit(__main__.main())
"""


async def rows(stage: Stage) -> list[Row]:
    """Celery, needs, leases and messages as in production; only the encoder is a clock. Then real encoders."""
    return [await _timed(stage), await _real(stage)]


async def _timed(stage: Stage) -> Row:
    workers, rounds, seconds = (2, 2, 2.0) if stage.quick else (WORKERS, ROUNDS, PIECE_S)
    count = workers * rounds
    made = _even(count)
    starts = [(sys.executable, "-c", TIMED.format(seconds=seconds))] * workers
    wall = await _made(stage, Order(made, MASTER), starts)
    stage.say(f"{count} pieces of {seconds:g} s by {workers} workers took {wall:.2f} s")
    share = count * seconds / wall / workers
    case = f"T5 {workers} workers with a timed encoder, of {workers} times one"
    return Row(case=case, ours=count * seconds / workers, theirs=wall, unit="s", value=share, bar=0.95)


async def _real(stage: Stage) -> Row:
    """The same picture by one and by two workers in turn; each has a core to itself for all that it starts."""
    master = await long_film(stage, FILM_S, quick=48, size=FILM_SIZE)
    made = plan(await prober.look(master, stage.own("look"), sound_only=False), Recipe(TITLE, "", "x264", "bench"))
    cores = sorted(os.sched_getaffinity(0))[:2]
    starts = [("taskset", "-c", str(core), sys.executable, "-c", WORKER) for core in cores]
    walls: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(stage.rounds):
        for count, taken in walls.items():
            taken.append(await _made(stage, Order(made, MASTER), starts[:count], master=master))
    stage.say(f"{len(made.pieces)} chunks of {made.duration_s:.0f} s of {FILM_SIZE}: {walls}")
    return Row(
        case="T5 two workers of one core against one",
        ours=statistics.median(walls[2]),
        theirs=statistics.median(walls[1]),
        unit="s",
        value=statistics.median(one / two for one, two in zip(walls[1], walls[2], strict=True)),
        bar=1.85,
    )


async def _made(stage: Stage, order: Order, starts: Sequence[Sequence[str]], *, master: Path | None = None) -> float:
    """Seconds from the offer of a plan's pieces of picture to the last one's end, by workers started so."""
    async with stages.standing() as house:
        bucket = FolderBucket(house.bucket)
        await bucket.put(names.plan(order.plan.version), msgspec.json.encode(order))
        if master is None:
            await bucket.put(MASTER, b"a master that nobody reads")
        else:
            await bucket.put_file(MASTER, master)
        redis: Redis = Redis.from_url(house.redis_of("control"))
        needs = Needs(redis, lease_s=15)
        environ = {"PATH": os.environ["PATH"], "USHER_BUCKET": str(house.bucket), "USHER_THREADS": "1"}
        environ |= {"USHER_REDIS_URL": house.redis_of("farm"), "USHER_ENCODER": "x264", "USHER_FFMPEG": stage.ffmpeg}
        async with _workers(starts, environ, house.folder / "worker"):
            await _there(needs, len(starts))
            dispatch = Dispatch(needs, redis, Broker(house.redis_of("control")))
            seconds, micros = await redis.time()
            await needs.offer(_offer(order.plan.version, len(order.plan.pieces)))
            while len(done := await _done(redis)) < len(order.plan.pieces):
                await dispatch.hasten()
                await asyncio.sleep(0.1 if stage.quick else 0.5)
        await redis.aclose()
    return max(done.values()) - seconds - micros / 1e6


def _even(count: int) -> Plan:
    """A plan of so many chunks."""
    frames = 100 * count
    picture = Picture(0, "h264", 640, 360, 25, 1, True, frames, 0.0, frames / 25)
    sound = Sound(1, "aac", 48000, 2, 0.0, frames / 25)
    made = plan(MediaInfo("mov", 0, 0, picture, sound), Recipe(TITLE, "", "x264", "bench"))
    return msgspec.structs.replace(
        made, pieces=tuple(ChunkPlan(str(number), 100 * number, 100) for number in range(count))
    )


def _offer(version: str, count: int) -> Offer:
    chunks = [str(number) for number in range(count)]
    work: dict[str, jobs.Ticket] = {chunk: jobs.ChunkTicket(JOB, TITLE, version, chunk) for chunk in chunks}
    scores = {chunk: score(NORMAL, position) for position, chunk in enumerate(chunks)}
    return Offer(version, jobs.CPU_QUEUE, "seller", 0, 30.0, int(time.time() * 1000), work, scores)


async def _there(needs: Needs, count: int) -> None:
    async with asyncio.timeout(START_WITHIN_S):
        while True:
            if len(await needs.workers()) >= count:
                return
            await asyncio.sleep(0.1)


async def _done(redis: Redis) -> dict[str, float]:
    """When each piece that is made was told to be, in seconds of Redis' clock."""
    entries: Any = await redis.xrange(FARM_STREAM)
    said = [(int(id.partition(b"-")[0]) / 1000, msgspec.json.decode(fields[b"e"], type=jobs.Message))
            for id, fields in entries]  # fmt: skip
    return {message.chunk: at for at, message in reversed(said) if isinstance(message, jobs.ChunkDone)}


@contextlib.asynccontextmanager
async def _workers(
    starts: Sequence[Sequence[str]], environ: dict[str, str], folder: os.PathLike[str]
) -> AsyncIterator[None]:
    processes: list[asyncio.subprocess.Process] = []
    for number, argv in enumerate(starts):
        own = environ | {"USHER_WORKER_NAME": f"bench-{number}", "USHER_SCRATCH_DIR": f"{folder}-{number}"}
        nowhere = asyncio.subprocess.DEVNULL
        processes.append(await asyncio.create_subprocess_exec(*argv, env=own, stdout=nowhere, stderr=nowhere))
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            await process.wait()
