"""Making the stills of a title: candidates for its poster."""

from __future__ import annotations

from farm import command
from farm.making import Making, ffmpeg
from farm.package import Piece
from farm.publish import JPEG_TYPE, Attempt, Marker
from shared.errors import EncodeFailed
from shared.storage import names


async def make(making: Making, bench: command.Bench, attempt: Attempt) -> Marker:
    """From the planned places, else (a master whose index leads astray) from the very start.

    The one with the most to see is first: a black or plain picture makes a small JPEG.
    """
    places = making.plan.poster.places
    taken = [still for at_s in places if (still := await _taken(making, bench, at_s))]
    taken = taken or [await _taken(making, bench, 0.0)]
    if not taken[0]:
        raise EncodeFailed("no still could be taken from it")
    best_first = enumerate(sorted(taken, key=len, reverse=True))
    await attempt.write("", [Piece(names.poster_file(number), still) for number, still in best_first], JPEG_TYPE)
    return await attempt.win()


async def _taken(making: Making, bench: command.Bench, at_s: float) -> bytes:
    """The still at a place; empty where none is to be had there."""
    still = bench.folder / "poster.jpg"
    still.unlink(missing_ok=True)
    try:
        await ffmpeg(making, command.poster(making.plan, bench, at_s=at_s), bench.folder)
    except EncodeFailed as error:  # it may complain and have written the still all the same
        if error.details.get("lost"):
            raise
    return still.read_bytes() if still.exists() else b""
