"""Which stills a title gets: candidates for its poster, and small pictures along the seek bar. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise
from typing import Literal

from farm.media import Cover, MediaInfo, Picture
from farm.plan import PosterPlan, StoryboardPlan

#: Where in the title posters are taken, and their widest side.
POSTERS_AT, POSTER_SIDE = (0.1, 0.35, 0.7), 1280
#: A poster is taken from the keyframe before its place where that is further off than this, in seconds.
FAR_S = 60
#: The shortest title with pictures along its seek bar, and their longer side.
LEAST_S, BOARD_SIDE = 10, 160
#: Seconds between two of them: the first step with which there are no more than MANY.
STEPS_S, MANY = (1, 2, 5, 10), 150
COLUMNS, ROWS = 5, 5
#: Where keyframes are further apart, all pictures that others refer to are decoded for them.
SPARSE_S = 20
#: A place this little before a picture, in pictures, is that picture's.
_ROUNDING = 1e-6


def poster(info: MediaInfo, seconds: float) -> PosterPlan:
    """The posters of a title that lasts `seconds`."""
    if info.picture:
        width, height = _fitted(info.picture, POSTER_SIDE)
        places = dict.fromkeys(_place(info.picture, seconds * part, info.origin_s) for part in POSTERS_AT)
        return PosterPlan(info.picture.stream, "frame", tuple(places), width, height)
    if info.cover:
        width, height = _fitted(info.cover, POSTER_SIDE)
        return PosterPlan(info.cover.stream, "cover", (0.0,), width, height)
    return PosterPlan(info.sound.stream if info.sound else 0, "drawn", (0.0,), POSTER_SIDE, POSTER_SIDE * 9 // 16)


def storyboard(info: MediaInfo, seconds: float) -> StoryboardPlan | None:
    """The pictures along the seek bar of a title that lasts `seconds`; None where it is too short or has none."""
    if info.picture is None or seconds < LEAST_S:
        return None
    every = next((step for step in STEPS_S if seconds / step <= MANY), STEPS_S[-1])
    width, height = _fitted(info.picture, BOARD_SIDE)
    skip: Literal["nointra", "noref"] = "noref" if _widest_gap(info, seconds) > SPARSE_S else "nointra"
    rows = min(ROWS, math.ceil(math.ceil(seconds / every) / COLUMNS))
    return StoryboardPlan(float(every), width, height, COLUMNS, rows, skip, len(info.picture.keyframes))


def _widest_gap(info: MediaInfo, seconds: float) -> float:
    """The longest time without a keyframe; 0 where none are known."""
    if info.picture is None or not info.picture.keyframes:
        return 0.0
    times = [*(at - info.origin_s for at in info.picture.keyframes), seconds]
    return max(after - before for before, after in pairwise(times))


def _place(picture: Picture, at_s: float, origin_s: float) -> float:
    """The picture at `at_s`; where decoding up to it would be long, the keyframe before it."""
    at_s = math.floor(at_s * picture.rate + _ROUNDING) / float(picture.rate)
    number = bisect_right(picture.keyframes, at_s + origin_s)
    before = picture.keyframes[number - 1] - origin_s if number else at_s
    return round(max(0.0, before) if at_s - before > FAR_S else at_s, 3)


def _fitted(picture: Picture | Cover, side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(picture.width, picture.height))
    return max(2, round(picture.width * scale / 2) * 2), max(2, round(picture.height * scale / 2) * 2)
