"""Parts of a large master: a sparse file with its index and the bytes that one piece of work reads.

What a chunk of the picture reads is known from the index of an MP4. All else, and a master whose index does not tell,
takes the whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from farm import run, samples, scratch
from farm.plan import Order, Plan
from farm.publish import each
from farm.samples import Range, Span
from farm.stopping import unless
from farm.tracks import MAX_INDEX_BYTES
from shared.errors import EncodeFailed
from shared.jobs import POSTER_CHUNK
from shared.log import get
from shared.settings import FarmSettings
from shared.storage import Bucket, ObjectInfo

#: Masters up to this size are copied whole.
WHOLE_BYTES: Final = 2 << 30
#: A part that is more than this of the whole is not worth it.
MOST_PART: Final = 0.5
#: Bytes fetched at once, and outermost boxes that are walked: a file of more is in fragments.
PIECE_BYTES, MOST_BOXES = 8 << 20, 64
_MEDIA: Final = frozenset({b"mdat", b"free", b"skip", b"wide"})


def spans(plan: Plan, chunk: str) -> tuple[Span, ...]:
    """What a piece of work reads of the picture, in seconds of the file's clock; () where it is all of the file."""
    origin_s = plan.origin_us / 1e6
    if plan.demuxer != "mov" or plan.video is None:
        return ()
    if chunk == POSTER_CHUNK and plan.poster.source == "frame":
        return tuple((origin_s + at, origin_s + at) for at in plan.poster.places)
    piece = next((one for one in plan.pieces if one.name == chunk), None)
    if piece is None:
        return ()
    rate = plan.video.grid.rate
    starts = origin_s + float(piece.first_frame / rate)
    start = min(starts, piece.seek_us / 1e6 if piece.seek_us >= 0 else 0.0) if piece.first_frame else 0.0
    return ((start, starts + float(piece.frames / rate)),)


@contextlib.asynccontextmanager
async def part(
    bucket: Bucket, order: Order, chunk: str, *, settings: FarmSettings, stop: asyncio.Event
) -> AsyncIterator[Path | None]:
    """The master with the holes that a chunk does not read; None where it has to be whole.

    Raises as the bucket does, NoRoom, and Stopped soon after `stop` is set.
    """
    wanted = spans(order.plan, chunk)
    info = await bucket.head(order.master) if wanted else None
    if info is None or info.size_bytes <= WHOLE_BYTES:
        yield None
        return
    with contextlib.ExitStack() as folders:
        folder = folders.enter_context(scratch.folder(settings, 0))
        file = Sparse(bucket, info, folder / "index")
        found = await _ranges(file, order.plan.picture.stream, wanted, stop=stop)
        need = sum(end - start for start, end in found)
        is_part = 0 < need <= MOST_PART * info.size_bytes
        if is_part:
            file.move(folders.enter_context(scratch.folder(settings, need)) / "master")
            await unless(stop, file.fill(found))
        get("farm").info("large master", key=order.master, chunk=chunk, part=need, of=info.size_bytes)
        yield file.path if is_part else None


async def _ranges(file: Sparse, stream: int, wanted: Sequence[Span], *, stop: asyncio.Event) -> list[Range]:
    """What is to be fetched; none where the index does not tell."""
    folder = file.path.parent
    result = folder / "ranges"
    if not await unless(stop, file.index()):
        return []
    try:
        asked = samples.Wanted(str(file.path), str(result), stream, tuple(wanted), samples.HEAD_BYTES)
        await run.run(samples.command(asked), folder, samples.LIMITS, stop=stop)
        return msgspec.json.decode(await asyncio.to_thread(result.read_bytes), type=list[Range])
    except (EncodeFailed, FileNotFoundError, msgspec.DecodeError):
        return []


class Sparse:
    """A local file as long as an object in the bucket, in which only what was asked for is there."""

    def __init__(self, bucket: Bucket, info: ObjectInfo, path: Path) -> None:
        self._bucket, self._key, self._size, self.path = bucket, info.key, info.size_bytes, path
        with path.open("xb") as file:
            file.truncate(self._size)

    def move(self, path: Path) -> None:
        """Give it another place on the same disk; nothing is being fetched."""
        self.path = self.path.rename(path)

    async def index(self) -> bool:
        """Fetch the heads of the outermost boxes, and all of those that hold no media; False where that is no MP4 with
        one index."""
        at, kinds = 0, []
        while at + 8 <= self._size:
            head = await self._fetch((at, min(at + 16, self._size)))
            length, kind = struct.unpack_from(">I4s", head)
            if length == 1 and len(head) == 16:
                (length,) = struct.unpack_from(">Q", head, 8)
            kinds.append(kind)
            end = at + length if length else self._size
            is_media = kind in _MEDIA
            if not at + 8 <= end <= self._size or len(kinds) > MOST_BOXES or kind == b"moof":
                return False
            if not is_media:
                if end - at > MAX_INDEX_BYTES:
                    return False
                await self.fill([(at, end)])
            at = end
        return kinds.count(b"moov") == 1

    async def fill(self, ranges: list[Range]) -> None:
        """Fetch these bytes."""
        await each(_pieces(ranges), self._take)

    async def _take(self, wanted: Range) -> None:
        await self._fetch(wanted)

    async def _fetch(self, wanted: Range) -> bytes:
        start, end = wanted
        data = await self._bucket.get(self._key, start=start, length=end - start)
        await asyncio.to_thread(_write, self.path, data, start)
        return data


def _write(path: Path, data: bytes, at: int) -> None:
    """By a handle of its own: who is told to stop does not wait for it."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def _pieces(ranges: list[Range]) -> Iterator[Range]:
    for start, end in ranges:
        for at in range(start, end, PIECE_BYTES):
            yield at, min(at + PIECE_BYTES, end)
