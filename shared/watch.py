"""Watch time on its way from edges to control: the Redis stream, and what one entry says."""

from __future__ import annotations

import msgspec

#: Redis stream edge → control; entry field `w` holds a Watched as JSON.
WATCH_STREAM = "edge:watch"


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """What a session was sent since its last entry.

    `bits` and `sound_bits` are bitmaps of segment indexes, of which the least significant bit of the first byte stands
    for segment `base`. Each bit is sent once; a consumer joins them by OR, so an entry may come twice. `position_s` is
    where the player said it is, -1 where it did not. `at` is seconds since 1970 by the edge's clock.
    """

    sid: str
    sub: str
    title: str
    version: str
    base: int
    bits: bytes = b""
    sound_bits: bytes = b""
    position_s: float = -1.0
    at: float = 0.0
