"""Making the stills of a title."""

from __future__ import annotations

import contextlib

from farm import command
from farm.making import Making, ffmpeg
from farm.package import Piece
from farm.publish import JPEG_TYPE, Attempt, Marker
from shared.errors import EncodeFailed


async def make(making: Making, bench: command.Bench, attempt: Attempt) -> Marker:
    """From the planned place, else (a master whose index leads astray) from the very start."""
    still = bench.folder / "poster.jpg"
    for at_s in (making.plan.poster.at_s, 0.0):
        with contextlib.suppress(EncodeFailed):
            await ffmpeg(making, command.poster(making.plan, bench, at_s=at_s), bench.folder)
        if still.exists() and still.stat().st_size:
            await attempt.write("", [Piece("poster.jpg", still.read_bytes())], JPEG_TYPE)
            return await attempt.win()
    raise EncodeFailed("no still could be taken from it")
