"""What the farm's own parts make of a master, chunk by chunk, without queue and messages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import msgspec

from benchmarks.farm import vmaf
from benchmarks.farm.stage import Stage
from farm import chunks, planning, prober, publish
from farm.encoders.x264 import X264
from farm.engine import Engine
from farm.making import Making
from farm.plan import ChunkPlan, Plan, Recipe
from farm.report import ProgressFeed, connect
from shared.jobs import SOUND_CHUNK, ChunkTicket
from shared.ladder import LADDER, Rung
from shared.settings import FarmSettings
from shared.storage import names, open_bucket
from tests.support.farm import TrackBytes

TITLE = "ttl_bench"


class _Unsent(ProgressFeed):
    """Progress that nobody asked for."""

    async def flush(self) -> None:
        """Nothing is sent."""


class Version(msgspec.Struct, frozen=True):
    """A plan, and the bucket in which its objects lie."""

    plan: Plan
    bucket: Path

    def init(self, rendition: str) -> bytes:
        """The init section of a rendition."""
        return (self._folder(rendition) / "init.mp4").read_bytes()

    def segments(self, rendition: str) -> list[bytes]:
        """All segments of a rendition that are there, in order."""
        found = sorted((self._folder(rendition) / "0").iterdir(), key=lambda path: int(path.stem))
        return [path.read_bytes() for path in found]

    def joined(self, rendition: str) -> Path:
        """The rendition as one file."""
        path = self.bucket / f"{rendition}.mp4"
        return vmaf.joined(self.init(rendition), self.segments(rendition), path)

    def shown(self, rendition: str) -> list[Fraction]:
        """When each sample is shown, in order: decode time + composition offset - edit list, nothing else."""
        return TrackBytes("", self.init(rendition), self.segments(rendition)).shown()

    @property
    def size_bytes(self) -> int:
        """All media of the version."""
        folder = self.bucket / names.version_prefix(TITLE, self.plan.version)
        return sum(path.stat().st_size for kind in ("*.m4s", "init.mp4") for path in folder.rglob(kind))

    def _folder(self, rendition: str) -> Path:
        return self.bucket / names.version_prefix(TITLE, self.plan.version) / rendition


async def planned(master: Path, *, ladder: tuple[Rung, ...] = LADDER) -> Plan:
    """The plan of a master, as the farm makes it."""
    info = await prober.look(master, master.parent, sound_only=False)
    return planning.plan(info, Recipe(TITLE, master.name, "x264", "bench", ladder=ladder))


def whole(plan: Plan) -> Plan:
    """The same, its picture in one chunk."""
    return msgspec.structs.replace(plan, pieces=(ChunkPlan("0", 0, plan.picture.frames),))


def media_chunks(plan: Plan) -> list[str]:
    """The chunks that are picture and sound, no stills."""
    return [*(piece.name for piece in plan.pieces), SOUND_CHUNK]


async def make(stage: Stage, plan: Plan, master: Path, folder: Path, *, wanted: Sequence[str] = ()) -> Version:
    """Make picture and sound (or the chunks `wanted`) one after the other, by one thread each."""
    settings = FarmSettings(bucket=str(folder / "bucket"), scratch_dir=folder / "scratch", threads=1)
    bucket = open_bucket(settings)
    engine = Engine(stage.ffmpeg, "bench", X264)
    for chunk in wanted or media_chunks(plan):
        ticket = ChunkTicket("job", plan.title, plan.version, chunk)
        feed = _Unsent(connect(settings.redis_url), ticket, chunks.names_of(plan, chunk))
        making = Making(plan, chunk, master, engine, settings, feed, asyncio.Event())
        won = await chunks.make(making, publish.Attempt(bucket, plan.version, chunk, "bench"))
        await publish.copy_winner(bucket, won, title=TITLE, version=plan.version)
    return Version(plan, folder / "bucket")
