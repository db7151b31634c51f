"""Masters of gigabytes that take kilobytes of disk: what lies between their samples is a hole."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from farm import boxes


def spread(source: Path, target: Path, *, offset: Callable[[int], int], end: int) -> Path:
    """A sparse MP4 of `end` bytes with the chunks of samples of `source`, the one at byte n moved to `offset(n)`.

    One mdat with a size of 64 bits holds them all; the index lies behind it and names them by 64 bits (co64).
    """
    data = source.read_bytes()
    outer = {box.kind: box for box in boxes.boxes(data)}
    ftyp, moov = outer[b"ftyp"], data[outer[b"moov"].start : outer[b"moov"].end]
    places: list[int] = []
    index = _widened(moov, offset, places)
    with target.open("xb") as file:
        file.truncate(end)
        file.write(data[ftyp.start : ftyp.end])
        file.write(struct.pack(">I4sQ", 1, b"mdat", end - ftyp.end - len(index)))
        starts = sorted(set(places))
        behind = dict(zip(starts, [*starts[1:], outer[b"mdat"].end], strict=True))
        for at in starts:
            file.seek(offset(at))
            file.write(data[at : behind[at]])
        file.seek(end - len(index))
        file.write(index)
    return target


def _widened(box: bytes, offset: Callable[[int], int], places: list[int]) -> bytes:
    """A box with each stco in it as a co64."""
    kind = box[4:8]
    if kind == b"stco":
        count = struct.unpack_from(">I", box, 12)[0]
        found = struct.unpack_from(f">{count}I", box, 16)
        places += found
        body = struct.pack(f">II{count}Q", 0, count, *map(offset, found))
        return struct.pack(">I4s", 8 + len(body), b"co64") + body
    if kind not in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        return box
    body = b"".join(_widened(box[one.start : one.end], offset, places) for one in boxes.boxes(box, 8))
    return struct.pack(">I4s", 8 + len(body), kind) + body
