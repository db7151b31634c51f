"""Which stills a title gets. Pure."""

from __future__ import annotations

from farm.media import MediaInfo
from farm.plan import PosterPlan

#: Where in the title the poster is taken, and its widest side.
POSTER_AT, POSTER_SIDE = 0.1, 1280


def poster(info: MediaInfo, seconds: float) -> PosterPlan:
    """The poster of a title that lasts `seconds`."""
    if info.picture:
        width, height = _poster_size(info.picture.width, info.picture.height)
        return PosterPlan(info.picture.stream, "frame", round(seconds * POSTER_AT, 3), width, height)
    if info.cover:
        width, height = _poster_size(info.cover.width, info.cover.height)
        return PosterPlan(info.cover.stream, "cover", 0.0, width, height)
    return PosterPlan(info.sound.stream if info.sound else 0, "drawn", 0.0, POSTER_SIDE, POSTER_SIDE * 9 // 16)


def _poster_size(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, POSTER_SIDE / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
