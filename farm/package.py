"""Fragments of the mp4 muxer → init.mp4 and <n>.m4s: cut at box borders, checked against the grid.

The muxer starts decode times at zero and leaves B-frames' offsets positive; an edit list in the init takes the delay
back, so that the first picture is shown at exactly zero in every player. Sound is cut anew, frame by frame, near the
picture's borders: a muxer's own fragments would drift against them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import msgspec

from farm import boxes
from farm.grid import SOUND_FRAME, SOUND_RATE, Grid, sound_segments, video_segments
from farm.plan import ChunkPlan
from shared.errors import EncodeFailed

SOUND_CODEC = "mp4a.40.2"


class Piece(msgspec.Struct, frozen=True):
    """One object of a rendition: its name in the rendition's folder, its bytes, its length in ticks, its samples."""

    name: str
    data: bytes
    ticks: int = 0
    samples: int = 0


def segment_name(number: int, variant: str = "0") -> str:
    """A segment's name in its rendition's folder."""
    return f"{variant}/{number}.m4s"


def video(path: Path, grid: Grid, piece: ChunkPlan) -> Iterator[Piece]:
    """The init, then each segment of a chunk of the picture. Raises EncodeFailed where frames are not on the grid."""
    with path.open("rb") as file:
        init, first = _opened(file)
        number, base = piece.first_frame // grid.segment_frames, None
        expected = video_segments(piece.frames, grid.segment_frames)
        for index, moof, mdat in _fragments(file, first):
            run = boxes.run(moof)
            if base is None:
                base = run.decode_time
                yield Piece("init.mp4", boxes.with_edit_list(init, run.offsets[0]))
            if index >= len(expected) or len(run.sizes) != expected[index] or set(run.durations) != {grid.frame_ticks}:
                raise EncodeFailed(f"segment {number + index} is off the grid: {len(run.sizes)} frames")
            at = run.decode_time - base + piece.first_frame * grid.frame_ticks
            data = boxes.moved(moof, sequence=number + index + 1, decode_time=at) + mdat
            yield Piece(segment_name(number + index), data, run.ticks, len(run.sizes))
            expected[index] = 0
        if any(expected):
            raise EncodeFailed(f"{sum(expected)} of {piece.frames} frames are missing at the end")


def sound(path: Path, samples: int, segment_s: Fraction) -> Iterator[Piece]:
    """The init, then each segment of the whole sound; what the encoder adds behind `samples` is left out."""
    with path.open("rb") as file:
        init, first = _opened(file)
        if boxes.timescale(init) != SOUND_RATE:
            raise EncodeFailed(f"sound came at {boxes.timescale(init)} Hz")
        yield Piece("init.mp4", init)
        frames = _samples(file, first)
        done = 0
        for number, wanted in enumerate(sound_segments(samples, segment_s)):
            got = list(islice(frames, wanted))
            if len(got) < wanted:
                raise EncodeFailed(f"the sound ends {wanted - len(got)} frames early")
            data = boxes.fragment(got, sequence=number + 1, decode_time=done * SOUND_FRAME, duration=SOUND_FRAME)
            yield Piece(segment_name(number), data, wanted * SOUND_FRAME, wanted)
            done += wanted


def _opened(file: BinaryIO) -> tuple[bytes, int]:
    """ftyp + moov, and where the first fragment starts."""
    at, init = 0, b""
    while (head := _head(file, at)) is not None:
        kind, size = head
        if kind in (b"ftyp", b"moov"):
            file.seek(at)
            init += _read(file, size)
        at += size
        if kind == b"moov":
            return init, at
    raise EncodeFailed("ffmpeg wrote no movie header")


def _fragments(file: BinaryIO, at: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Each moof with its mdat, numbered from 0."""
    index, moof = 0, b""
    while (head := _head(file, at)) is not None:
        kind, size = head
        file.seek(at)
        if kind == b"moof":
            moof = _read(file, size)
        elif kind == b"mdat" and moof:
            yield index, moof, _read(file, size)
            index, moof = index + 1, b""
        at += size


def _samples(file: BinaryIO, first: int) -> Iterator[bytes]:
    for _, moof, mdat in _fragments(file, first):
        at = 8
        for size in boxes.run(moof).sizes:
            yield mdat[at : at + size]
            at += size


def _read(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EncodeFailed("ffmpeg's output is broken off")
    return data


def _head(file: BinaryIO, at: int) -> tuple[bytes, int] | None:
    file.seek(at)
    head = file.read(16)
    if len(head) < 8:
        return None
    size, kind = struct.unpack(">I4s", head[:8])
    if size == 1:
        (size,) = struct.unpack(">Q", head[8:])
    if size < 8:
        raise EncodeFailed("ffmpeg's output is broken off")
    return kind, size
