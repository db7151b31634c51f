"""What making a piece of work needs, whichever it is: plan, machine, limits, and how its pieces are written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec

from farm import run
from farm.engine import Engine
from farm.package import Piece
from farm.plan import Plan
from farm.playlists import Track
from farm.publish import Attempt
from farm.report import ProgressFeed
from shared.settings import FarmSettings
from shared.tasks import end

#: Address space of one ffmpeg that encodes on the CPU.
MEMORY_BYTES = 16 << 30
#: A file may be this much larger than its top rate allows.
FILE_SLACK, FILE_FLOOR_BYTES = 2, 64 << 20


class Making(msgspec.Struct, frozen=True):
    """What making a chunk needs: the plan, the local master, the machine, whom to tell, and when to stop."""

    plan: Plan
    chunk: str
    master: Path
    engine: Engine
    settings: FarmSettings
    feed: ProgressFeed
    stop: asyncio.Event


async def ffmpeg(making: Making, argv: list[str], folder: Path, *, tell: run.OnProgress = lambda _: None) -> None:
    """Run one ffmpeg to its end within the limits, and send progress meanwhile. Raises EncodeFailed and Stopped."""
    limits = run.Limits(
        deadline_s=making.settings.chunk_deadline_s,
        stall_s=making.settings.stall_s,
        memory_bytes=MEMORY_BYTES if making.engine.encoder.bound_memory else 0,
        file_bytes=_most_bytes(making.plan),
    )
    sending = asyncio.create_task(making.feed.keep_sending())
    try:
        await run.run(argv, folder, limits, on_progress=tell, stop=making.stop)
    finally:
        await end(sending)


async def written(attempt: Attempt, name: str, pieces: Iterator[Piece], *, timescale: int) -> tuple[Track, bytes]:
    """Write a rendition's pieces, the init first; the track they are, and the init."""
    first = next(pieces)
    init = first.data
    await attempt.write(name, [first])
    segments = await attempt.write(name, pieces)
    sizes = tuple(attempt.size(f"{name}/{segment.name}") for segment in segments)
    return Track(name, "", timescale, tuple(segment.ticks for segment in segments), sizes), init


def _most_bytes(plan: Plan) -> int:
    kbps = max((r.maxrate_kbps for r in plan.video.renditions), default=0) if plan.video else plan.sound.kbps
    return FILE_FLOOR_BYTES + int(FILE_SLACK * kbps * 125 * plan.duration_s)
