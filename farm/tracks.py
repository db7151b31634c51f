"""The index of an MP4 or QuickTime file (ISO/IEC 14496-12), as far as the demuxer keeps it to itself.

What is read here is checked before the demuxer sees the file: that it ends where it says, how many tracks it has, and
that none of them lies in another file.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec

from farm import boxes, refusals

#: More than the index of a day of video takes.
MAX_INDEX_BYTES = 256 << 20
_STBL = (b"mdia", b"minf", b"stbl")
_DREF = (b"mdia", b"minf", b"dinf", b"dref")
_ID_AT = {0: 12, 1: 20}
_SELF_CONTAINED = 1


class Track(msgspec.Struct, frozen=True):
    """`kinds`: of its sample descriptions (`avc1`). `offsets`: runs of (samples, ticks from decoding to showing)."""

    kinds: tuple[bytes, ...] = ()
    offsets: tuple[tuple[int, int], ...] = ()


def tracks(path: Path, size: int) -> dict[int, Track]:
    """The tracks by their number; none where the index is not as the standard says. Raises MasterRejected.

    Refused are files whose outermost boxes do not end where the file ends, without an index, with too many tracks, or
    with tracks in other files.
    """
    with path.open("rb") as file:
        moov = _index(file.fileno(), size)
    try:
        found = [box for box in boxes.boxes(moov) if box.kind == b"trak"]
    except ValueError:
        return {}
    refusals.streams(len(found))
    read = {}
    for box in found:
        try:
            number, track = _track(moov[box.body : box.end])
        except (ValueError, struct.error):
            continue
        read[number] = track
    return read


def _index(file: int, size: int) -> bytes:
    """The payload of moov."""
    index = None
    for kind, body, end in _outer_boxes(file, size):
        if end > size:
            refusals.cut_off(f"{size} bytes are there, it says {end}")
        if kind == b"moov" and index is None:
            index = body, end
    if index is None:
        refusals.cut_off("its index (moov) is missing")
    body, end = index
    if end - body > MAX_INDEX_BYTES:
        refusals.reject("absurd", f"The index of the file takes {end - body >> 20} MiB; it is broken.")
    return os.pread(file, end - body, body)


def _outer_boxes(file: int, size: int) -> Iterator[tuple[bytes, int, int]]:
    at = 0
    while at + 8 <= size:
        head = os.pread(file, 16, at)
        length, kind = struct.unpack(">I4s", head[:8])
        body = at + 8
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack(">Q", head[8:])
            body = at + 16
        elif length == 0:
            length = size - at
        if length < body - at:
            return
        at += length
        yield kind, body, at


def _track(trak: bytes) -> tuple[int, Track]:
    """Raises ValueError and struct.error for what is not as the standard says."""
    _check_own(trak)
    header = boxes.need(trak, b"tkhd")
    (number,) = struct.unpack_from(">I", trak, header.body + _ID_AT[trak[header.body] & 1])
    stsd = boxes.need(trak, *_STBL, b"stsd")
    kinds = tuple(box.kind for box in boxes.boxes(trak, stsd.body + 8, stsd.end))
    return number, Track(kinds, _offsets(trak))


def _check_own(trak: bytes) -> None:
    """The samples lie in this file: a data reference that is not to itself is never followed, but refused."""
    dref = boxes.find(trak, *_DREF)
    if dref is None:
        return
    for box in boxes.boxes(trak, dref.body + 8, dref.end):
        (flags,) = struct.unpack_from(">I", trak, box.body)
        if not flags & _SELF_CONTAINED:
            refusals.reject(
                "elsewhere", "The picture or sound is not in this file, which only names another. Export it."
            )


def _offsets(trak: bytes) -> tuple[tuple[int, int], ...]:
    ctts = boxes.find(trak, *_STBL, b"ctts")
    if ctts is None:
        return ()
    (count,) = struct.unpack_from(">I", trak, ctts.body + 4)
    table = trak[ctts.body + 8 : min(ctts.end, ctts.body + 8 + 8 * count)]
    return tuple(struct.iter_unpack(">Ii", table[: len(table) // 8 * 8]))
