"""What making a piece of work needs, whichever it is: plan, machine, limits, and how its pieces are written."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from farm import run
from farm.encoders import encoder
from farm.engine import Engine
from farm.package import Piece
from farm.plan import Plan
from farm.playlists import Track
from farm.publish import Attempt
from farm.report import ProgressFeed
from shared.settings import FarmSettings
from shared.tasks import end

#: Address space of one ffmpeg that encodes on the CPU, where the plan names no memory.
MEMORY_BYTES = 16 << 30
#: Address space beside what the plan expects: of libraries, and of what each core's threads reserve; and its slack.
ADDRESS_BYTES, CORE_BYTES, ADDRESS_SLACK = 4 << 30, 1 << 30, 2
#: A chunk may take this long at least, and this long for a second of its media, whatever the machine does besides.
DEADLINE_S, PACE = 600, 60
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
        deadline_s=deadline_s(making),
        stall_s=making.settings.stall_s,
        memory_bytes=_bound(making),
        file_bytes=_most_bytes(making.plan, making.chunk),
    )
    sending = asyncio.create_task(making.feed.keep_sending())
    try:
        await run.run(argv, folder, limits, on_progress=tell, stop=making.stop)
    finally:
        await end(sending)


async def written(
    attempt: Attempt, name: str, pieces: Iterator[Piece], *, timescale: int, adopting: str = ""
) -> tuple[Track, bytes]:
    """Write a rendition's pieces, the init first; the track they are, and the init. `adopting`: see `Attempt.write`."""
    first = next(pieces)
    init = first.data
    await attempt.write(name, [first], adopting=adopting)
    segments = await attempt.write(name, pieces, adopting=adopting)
    sizes = tuple(attempt.size(f"{name}/{segment.name}") for segment in segments)
    return Track(name, "", timescale, tuple(segment.ticks for segment in segments), sizes), init


def deadline_s(making: Making) -> float:
    """Seconds the chunk may take: as its media lasts, within what the settings allow."""
    return min(making.settings.chunk_deadline_s, max(DEADLINE_S, PACE * media_s(making.plan, making.chunk)))


def address_bytes(plan: Plan, *, threads: int = 0) -> int:
    """The address space one ffmpeg may take: well above what the plan expects, so that only what runs wild hits it.

    `threads` as in the settings: 0 for as many as there are cores, each of which reserves more than it uses.
    """
    if not plan.memory_bytes:
        return MEMORY_BYTES
    cores = threads or os.cpu_count() or 1
    return ADDRESS_BYTES + CORE_BYTES * cores + ADDRESS_SLACK * plan.memory_bytes


def _bound(making: Making) -> int:
    bounded = encoder(making.plan.encoder).bound_memory
    return address_bytes(making.plan, threads=making.settings.threads) if bounded else 0


def media_s(plan: Plan, chunk: str) -> float:
    """Seconds of media the chunk covers: a piece of the picture, or all of the title."""
    frames = next((piece.frames for piece in plan.pieces if piece.name == chunk), None)
    return plan.duration_s if frames is None else float(frames / plan.picture.grid.rate)


def scratch_bytes(plan: Plan, chunk: str) -> int:
    """What the chunk's files take at their highest rates."""
    pictures = sum(rendition.maxrate_kbps for rendition in plan.video.renditions) if plan.video else 0
    sounds = sum(sound.kbps for sound in plan.sounds)
    of_picture = any(piece.name == chunk for piece in plan.pieces)
    return int((pictures if of_picture else sounds) * 125 * media_s(plan, chunk))


def _most_bytes(plan: Plan, chunk: str) -> int:
    """What one file may take."""
    return FILE_FLOOR_BYTES + FILE_SLACK * scratch_bytes(plan, chunk)
