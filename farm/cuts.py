"""Where a picture is cut into chunks: on the grid, where the source's keyframes make seeking cheap. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise

import msgspec

from farm.grid import Grid, video_segments
from farm.plan import ChunkPlan

#: The first chunk holds this many segments, so that a title can be watched at once.
FIRST_SEGMENTS = 2
#: A title shorter than this is one chunk.
WHOLE_S = 12
#: Seconds the other chunks last: at least, at most, and wanted.
LEAST_S, MOST_S, WANTED_S = 20, 60, 30
#: Decoding a second for nothing weighs as much as a chunk that is this much longer or shorter than wanted.
UNEVEN_S = 20
#: Decoding starts this much before the keyframe where a container's seeking is a guess.
GUESS_US = 1_000_000
#: No chunk begins this close to the picture's last frame, which a decoder may lose.
TAIL_S = 2
#: What a chunk costs that is too short or too long: only where there is no other.
_ODD = 1e6


class Source(msgspec.Struct, frozen=True):
    """Where decoding of a source may start: its keyframes in seconds of the file's clock, in order.

    `exact`: a seek to a keyframe's time arrives there. `origin_us`: the time of the grid's first frame.
    """

    keyframes: tuple[float, ...]
    origin_us: int
    exact: bool


def cut(frames: int, on: Grid, source: Source, *, hold_frames: int = 0) -> tuple[ChunkPlan, ...]:
    """The chunks of a picture of `frames`, the last `hold_frames` of which repeat its last one.

    The first is two segments long. Each border after it lies on the grid, 20 to 60 s after the one before, so that the
    whole of what is decoded for nothing (from the keyframe before a border to the border) is least, and chunks last
    about 30 s. A title under 12 s is one chunk, one under 28 s two.
    """
    whole = len(video_segments(frames, on.segment_frames))
    last = int((frames - hold_frames - TAIL_S * on.rate) / on.segment_frames)
    if frames < WHOLE_S * on.rate or last < FIRST_SEGMENTS:
        return (ChunkPlan("0", 0, frames),)
    borders = [0, *_Borders(frames, on, source).best(last), whole]
    ends = [min(border * on.segment_frames, frames) for border in borders]
    return tuple(
        ChunkPlan(str(number), first, after - first, _seek_us(first, on, source))
        for number, (first, after) in enumerate(pairwise(ends))
    )


class _Borders:
    """The search for the cheapest borders, from the last one back; all are counted in segments."""

    def __init__(self, frames: int, on: Grid, source: Source) -> None:
        self._frames, self._on, self._source = frames, on, source
        self._whole = len(video_segments(frames, on.segment_frames))
        self._least = math.ceil(LEAST_S / on.segment_s)
        self._most = math.floor(MOST_S / on.segment_s)

    def best(self, last: int) -> list[int]:
        """All borders, the first behind the first chunk, none after `last`."""
        cost, after = {}, {}
        waste = {border: self._waste_s(border) for border in range(FIRST_SEGMENTS, last + 1)}
        for border in range(last, FIRST_SEGMENTS - 1, -1):
            cost[border], after[border] = self._to_the_end(border), self._whole
            for following in range(border + self._least, min(border + self._most, last) + 1):
                length = float((following - border) * self._on.segment_s)
                found = waste[following] + abs(length - WANTED_S) / UNEVEN_S + cost[following]
                if found < cost[border]:
                    cost[border], after[border] = found, following
        found_borders = [FIRST_SEGMENTS]
        while (following := after[found_borders[-1]]) < self._whole:
            found_borders.append(following)
        return found_borders

    def _to_the_end(self, border: int) -> float:
        """What the last chunk costs if it begins at `border`."""
        length = float((self._frames - border * self._on.segment_frames) / self._on.rate)
        odd = 0 if LEAST_S <= length <= MOST_S else _ODD
        return odd + abs(length - WANTED_S) / UNEVEN_S

    def _waste_s(self, border: int) -> float:
        """Seconds that are decoded for nothing if a chunk begins at `border`."""
        first = border * self._on.segment_frames
        found = _keyframe(first, self._on, self._source)
        at_s = float(first / self._on.rate)
        return at_s if found is None else round(max(0.0, at_s + self._source.origin_us / 1e6 - found), 3)


def _keyframe(first: int, on: Grid, source: Source) -> float | None:
    """The last keyframe from which frame `first` can be decoded; None where that is the file's first.

    One a quarter of a frame late is still the frame itself, its time rounded by the container.
    """
    border_s = source.origin_us / 1e6 + float((first + 0.25) / on.rate)
    found = bisect_right(source.keyframes, border_s) - 1
    return source.keyframes[found] if found > 0 else None


def _seek_us(first: int, on: Grid, source: Source) -> int:
    """Where decoding starts for a chunk that begins at frame `first`; -1: at the start of the file."""
    found = _keyframe(first, on, source) if first else None
    if found is None:
        return -1
    at_us = math.floor(found * 1e6 + 0.01) - (0 if source.exact else GUESS_US)
    return at_us if at_us > max(0, source.keyframes[0] * 1e6) else -1
