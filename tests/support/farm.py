"""A farm for tests: the real tasks on a folder bucket and a real ffmpeg, and what they made, taken apart."""

from __future__ import annotations

import asyncio
import contextlib
import io
import struct
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path

import av
import msgspec

from farm import boxes, publish, tasks
from farm.encoders import X264
from farm.engine import Engine
from farm.plan import ChunkPlan, Order, Plan
from shared import jobs
from shared.events import FARM_STREAM
from shared.need import NORMAL, Offer, score
from shared.settings import FarmSettings
from shared.storage import Bucket, names
from tests.support import media

TITLE, JOB, MASTER = "ttl_1", "job_1", "masters/ttl_1/upl_1"


class Farm:
    """The tasks, performed here and now, and the messages they sent."""

    def __init__(self, on: tasks.Floor) -> None:
        self.on, self.bucket, self.stop = on, on.bucket, asyncio.Event()

    async def probe(self, master: Path, *, kind: str = "video", title: str = TITLE) -> tasks.Outcome:
        """Upload a master and probe it."""
        await self.bucket.put_file(MASTER, master)
        return await self.perform(jobs.ProbeTicket(JOB, title, "upl_1", MASTER, "", kind))

    async def plan(self) -> Plan:
        """The plan the last probe made."""
        planned = [message for message in await self.messages() if isinstance(message, jobs.Planned)]
        return (await publish.order(self.bucket, planned[-1].version)).plan

    async def chunk(self, plan: Plan, chunk: str) -> tasks.Outcome:
        return await self.perform(jobs.ChunkTicket(JOB, plan.title, plan.version, chunk))

    async def finalise(self, plan: Plan) -> tasks.Outcome:
        return await self.perform(jobs.FinaliseTicket(JOB, plan.title, plan.version))

    async def perform(self, ticket: jobs.Ticket) -> tasks.Outcome:
        return await tasks.perform(ticket, self.on, self.stop)

    async def offer(self, plan: Plan, *chunks: str, job: str = JOB) -> None:
        """Let chunks of a plan be taken, the first the most wanted."""
        work: dict[str, jobs.Ticket] = {
            chunk: jobs.ChunkTicket(job, plan.title, plan.version, chunk) for chunk in chunks
        }
        scores = {chunk: score(NORMAL, position) for position, chunk in enumerate(chunks)}
        await self.on.needs.offer(Offer(plan.version, jobs.CPU_QUEUE, "seller", 0, 1.0, 0, work, scores))

    async def next(self, worker: str = "w") -> tasks.Outcome:
        """Do what is wanted most."""
        return await tasks.next_work(self.on, worker, self.stop)

    async def whole(self, master: Path, *, kind: str = "video") -> Made:
        """A master through probe, all chunks and finalise."""
        assert await self.probe(master, kind=kind) == "done", (await self.messages())[-1]
        plan = await self.plan()
        for chunk in plan.chunks:
            assert await self.chunk(plan, chunk) == "done", (await self.messages())[-1]
        assert await self.finalise(plan) == "done", (await self.messages())[-1]
        return Made(plan, self.bucket, (await self.messages())[-1])

    async def messages(self) -> list[jobs.Message]:
        """All messages sent so far."""
        entries = await self.on.redis.xrange(FARM_STREAM)
        return [msgspec.json.decode(fields[b"e"], type=jobs.Message) for _, fields in entries]

    async def keys(self, prefix: str = "") -> list[str]:
        """Keys in the bucket."""
        return [info.key async for info in self.bucket.list_prefix(prefix)]


class Made:
    """A finished version."""

    def __init__(self, plan: Plan, bucket: Bucket, last: jobs.Message) -> None:
        assert isinstance(last, jobs.Ready)
        self.plan, self.bucket, self.ready = plan, bucket, last

    async def playlist(self, ceiling: str) -> str:
        key = names.multivariant(self.plan.title, self.ready.edition, ceiling)
        return (await self.bucket.get(key)).decode()

    async def track(self, rendition: str) -> TrackBytes:
        """The rendition as its media playlist lists it."""
        base = f"v/{self.plan.title}/{self.plan.version}/{rendition}/"
        text = (await self.bucket.get(f"{base}index.m3u8")).decode()
        segments = [await self.bucket.get(base + line) for line in text.splitlines() if not line.startswith("#")]
        return TrackBytes(text, await self.bucket.get(f"{base}init.mp4"), segments)


def edit_start(init: bytes) -> int:
    """The media time of the edit list, 0 without one."""
    elst = boxes.find(init, b"moov", b"trak", b"edts", b"elst")
    return 0 if elst is None else int(struct.unpack_from(">i", init, elst.body + 12)[0])


class TrackBytes:
    """init and segments of one rendition."""

    def __init__(self, playlist: str, init: bytes, segments: list[bytes]) -> None:
        self.playlist, self.init, self.segments = playlist, init, segments

    def lengths(self) -> list[float]:
        """EXTINF of each segment."""
        return [float(line[8:-1]) for line in self.playlist.splitlines() if line.startswith("#EXTINF:")]

    def shown(self) -> list[Fraction]:
        """When each sample is shown by the letter of the standard: tfdt + composition offset - edit list, in order."""
        scale, start = boxes.timescale(self.init), edit_start(self.init)
        times = []
        for segment in self.segments:
            run = boxes.run(segment)
            at = run.decode_time - start
            for ticks, offset in zip(run.durations, run.offsets, strict=True):
                times.append(Fraction(at + offset, scale))
                at += ticks
        return sorted(times)

    def decoded(self) -> list[av.VideoFrame | av.AudioFrame]:
        """All frames as PyAV decodes init and segments joined."""
        with av.open(io.BytesIO(self.init + b"".join(self.segments))) as container:
            frames: list[av.VideoFrame | av.AudioFrame] = list(container.decode(container.streams[0]))
            return frames

    def samples(self) -> list[float]:
        """The first channel of sound."""
        values: list[float] = []
        for frame in self.decoded():
            assert isinstance(frame, av.AudioFrame)
            values += memoryview(frame.planes[0]).cast("B")[: 4 * frame.samples].cast("f").tolist()
        return values


def brightness(frame: av.VideoFrame | av.AudioFrame) -> float:
    """The mean of a picture's luma."""
    assert isinstance(frame, av.VideoFrame)
    plane = bytes(frame.reformat(format="gray").planes[0])
    return sum(plane) / len(plane)


def settings(folder: Path, redis_url: str) -> FarmSettings:
    """Settings of a farm whose state is all in `folder`."""
    return FarmSettings(
        home=folder,
        bucket=str(folder / "bucket"),
        scratch_dir=folder / "scratch",
        redis_url=redis_url,
        encoder="x264",
        threads=1,
        lease_s=3,
    )


@contextlib.asynccontextmanager
async def farm(folder: Path, redis_url: str, *, ffmpeg: str = media.WHEEL, **changes: object) -> AsyncIterator[Farm]:
    """A farm on an ffmpeg, with settings changed."""
    made = msgspec.structs.replace(settings(folder, redis_url), **changes)
    async with tasks.floor(made, Engine(ffmpeg, "test", X264)) as on:
        yield Farm(on)


async def in_pieces(farm: Farm, plan: Plan, *, segments: int) -> Plan:
    """The same plan cut into chunks of so many segments, written where workers read it."""
    step = segments * plan.picture.grid.segment_frames
    pieces = tuple(
        ChunkPlan(str(number), first, min(step, plan.picture.frames - first))
        for number, first in enumerate(range(0, plan.picture.frames, step))
    )
    cut = msgspec.structs.replace(plan, pieces=pieces)
    await farm.bucket.put(names.plan(cut.version), msgspec.json.encode(Order(cut, MASTER)))
    return cut
