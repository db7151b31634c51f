"""What the picture of an MP4 is like as it lies there, for deciding whether it can be shown as it is."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TypedDict

from av.video.stream import VideoStream

from farm.grid import grid
from farm.media import Picture
from farm.times import KEY, Times
from farm.tracks import Track
from farm.units import IDR, PARAMETERS, SEQUENCE, SLICE, units, width_of


class Facts(TypedDict, total=False):
    """Fields of `Picture`."""

    profile: str
    level: int
    pix_fmt: str
    avcc: str
    exact_times: bool
    bps: int
    peak_bps: int
    idr_steps: tuple[int, ...]


def facts(stream: VideoStream, picture: Picture, shown: Times, *, track: Track | None, path: Path) -> Facts:
    """What is known of H.264 in an MP4 with an index; of all else only profile and format of the pixels. Blocks."""
    context = stream.codec_context
    found = Facts(profile=context.profile or "", pix_fmt=context.pix_fmt or "")
    avcc = bytes(context.extradata or b"")
    if track is None or track.kinds != (b"avc1",) or not shown.decoded or not width_of(avcc):
        return found
    found |= Facts(avcc=avcc.hex(), level=avcc[3], exact_times=_exact(stream, picture, shown))
    if not found["exact_times"]:
        return found
    sizes = [size for _, _, size, _ in shown.samples]
    per_segment = grid(picture.rate).segment_frames
    found["bps"] = round(8 * sum(sizes) * picture.rate / len(sizes))
    found["peak_bps"] = max(
        round(8 * sum(part) * picture.rate / len(part))
        for part in (sizes[first : first + per_segment] for first in range(0, len(sizes), per_segment))
        if 2 * len(part) >= per_segment or len(part) == len(sizes)
    )
    found["idr_steps"] = _idr_steps(shown, path, avcc=avcc, per_segment=per_segment)
    return found


def _exact(stream: VideoStream, picture: Picture, shown: Times) -> bool:
    """Whether pictures are decoded and shown one step apart, to the tick."""
    step = 1 / (picture.rate * (stream.time_base or 1)) if picture.constant else 0
    if not step or step.denominator != 1:
        return False
    count, decoded = len(shown.starts), [at for at, _, _, _ in shown.samples]
    return all(
        found == list(range(found[0], found[0] + count * int(step), int(step))) for found in (shown.starts, decoded)
    )


def _idr_steps(shown: Times, path: Path, *, avcc: bytes, per_segment: int) -> tuple[int, ...]:
    """A segment, its half and its quarter in frames, as far as each picture on that grid is an IDR."""
    steps: list[int] = []
    with path.open("rb") as file:
        for step in (per_segment, per_segment // 2, per_segment // 4):
            on_grid = shown.samples[:: step or 1]
            if not step or per_segment % step or not all(flags & KEY for _, _, _, flags in on_grid):
                break
            if not all(_is_idr(file.fileno(), pos, pos + size, avcc=avcc) for _, pos, size, _ in on_grid):
                break
            steps.append(step)
    return tuple(steps)


def _is_idr(file: int, at: int, end: int, *, avcc: bytes) -> bool:
    """Whether the picture at `[at, end)` can stand alone, by the parameters of the file's header."""
    for kind, start, stop in units(partial(os.pread, file), at, end, width=width_of(avcc)):
        if kind in (SEQUENCE, PARAMETERS) and os.pread(file, stop - start, start) not in avcc:
            return False
        if SLICE <= kind <= IDR:
            return kind == IDR
    return False
