"""Making one chunk: the ffmpeg for it, its pieces into an attempt, the tracks they form."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from farm import boxes, command, package, run
from farm.engine import Engine
from farm.grid import SOUND_RATE, video_segments
from farm.package import Piece
from farm.plan import Plan
from farm.playlists import Track
from farm.progress import Growing, fractions
from farm.publish import JPEG_TYPE, Attempt, Marker
from farm.report import ProgressFeed
from shared.errors import EncodeFailed
from shared.jobs import POSTER_CHUNK, SOUND_CHUNK
from shared.settings import FarmSettings
from shared.tasks import end

#: Address space of one ffmpeg that encodes on the CPU.
MEMORY_BYTES = 16 << 30
#: A folder of a chunk is left alone this long, whoever made it.
REMAINS_S = 3600
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


async def make(making: Making, attempt: Attempt) -> Marker:
    """Make the chunk, write the attempt, and put its marker (or give that of an attempt that was quicker)."""
    with _folder(making.settings) as folder:
        bench = command.Bench(making.engine.ffmpeg, making.master, folder, making.settings.threads)
        if making.chunk == SOUND_CHUNK:
            return await _sound(making, bench, attempt)
        if making.chunk == POSTER_CHUNK:
            return await _poster(making, bench, attempt)
        return await _video(making, bench, attempt)


def names_of(plan: Plan, chunk: str) -> tuple[str, ...]:
    """The renditions whose progress a chunk reports."""
    if chunk == SOUND_CHUNK:
        return (plan.sound.name,)
    if chunk == POSTER_CHUNK or plan.video is None:
        return ()
    return tuple(rendition.name for rendition in plan.video.renditions)


async def _video(making: Making, bench: command.Bench, attempt: Attempt) -> Marker:
    plan, piece = making.plan, making.plan.piece(making.chunk)
    picture, grid = plan.picture, plan.picture.grid
    segments = len(video_segments(piece.frames, grid.segment_frames))
    files = {name: Growing(bench.folder / f"{name}.mp4") for name in names_of(plan, making.chunk)}

    def tell(found: run.Progress) -> None:
        at = fractions(files, segments=segments, frames=piece.frames, frame=found.frame)
        making.feed.update(at, found.speed)

    await _ffmpeg(making, command.video(plan, piece, bench, encoder=making.engine.encoder), bench.folder, tell=tell)
    tracks = []
    for rendition in picture.renditions:
        pieces = package.video(bench.folder / f"{rendition.name}.mp4", grid, piece)
        track, init = await _written(attempt, rendition.name, pieces, timescale=grid.timescale)
        track = msgspec.structs.replace(
            track, codec=boxes.avc_codec(init), width=rendition.width, height=rendition.height
        )
        tracks.append(track)
    return await attempt.win(tracks, piece.frames)


async def _sound(making: Making, bench: command.Bench, attempt: Attempt) -> Marker:
    wanted, seconds = making.plan.sound, making.plan.sound.samples / SOUND_RATE

    def tell(found: run.Progress) -> None:
        making.feed.update({wanted.name: found.seconds / seconds}, found.speed)

    await _ffmpeg(making, command.sound(making.plan, bench), bench.folder, tell=tell)
    pieces = package.sound(bench.folder / f"{wanted.name}.mp4", wanted.samples, wanted.segment_s)
    track, _ = await _written(attempt, wanted.name, pieces, timescale=SOUND_RATE)
    return await attempt.win([msgspec.structs.replace(track, codec=package.SOUND_CODEC)], wanted.samples)


async def _poster(making: Making, bench: command.Bench, attempt: Attempt) -> Marker:
    """From the planned place, else (a master whose index leads astray) from the very start."""
    still = bench.folder / "poster.jpg"
    for at_s in (making.plan.poster.at_s, 0.0):
        with contextlib.suppress(EncodeFailed):
            await _ffmpeg(making, command.poster(making.plan, bench, at_s=at_s), bench.folder)
        if still.exists() and still.stat().st_size:
            await attempt.write("", [Piece("poster.jpg", still.read_bytes())], JPEG_TYPE)
            return await attempt.win()
    raise EncodeFailed("no still could be taken from it")


async def _written(attempt: Attempt, name: str, pieces: Iterator[Piece], *, timescale: int) -> tuple[Track, bytes]:
    first = next(pieces)
    init = first.data
    await attempt.write(name, [first])
    segments = await attempt.write(name, pieces)
    sizes = tuple(attempt.size(f"{name}/{segment.name}") for segment in segments)
    return Track(name, "", timescale, tuple(segment.ticks for segment in segments), sizes), init


async def _ffmpeg(making: Making, argv: list[str], folder: Path, *, tell: run.OnProgress = lambda _: None) -> None:
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


def _most_bytes(plan: Plan) -> int:
    kbps = max((r.maxrate_kbps for r in plan.video.renditions), default=0) if plan.video else plan.sound.kbps
    return FILE_FLOOR_BYTES + int(FILE_SLACK * kbps * 125 * plan.duration_s)


@contextlib.contextmanager
def _folder(settings: FarmSettings) -> Iterator[Path]:
    """A folder of the chunk's own, locked while it is in use and gone afterwards."""
    root = settings.scratch_dir.absolute() / "chunks"
    root.mkdir(parents=True, exist_ok=True)
    _drop_remains(root)
    folder = Path(tempfile.mkdtemp(dir=root))
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _drop_remains(root: Path) -> None:
    """Remove folders of workers that were killed: old, and locked by nobody."""
    for folder in root.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime < REMAINS_S:
                continue
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
