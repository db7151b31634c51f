"""Making one piece of work, whichever it is: a folder of its own, and the maker of its kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from farm import command, pictures, scratch, sounds, stills, storyboard
from farm.making import Making, scratch_bytes
from farm.plan import Plan
from farm.publish import Attempt, Marker
from shared.jobs import POSTER_CHUNK, SOUND_CHUNK, STORYBOARD_CHUNK

Maker = Callable[[Making, command.Bench, Attempt], Awaitable[Marker]]
#: Who makes what; all others are chunks of the picture.
_MAKERS: Final[dict[str, Maker]] = {
    SOUND_CHUNK: sounds.make,
    POSTER_CHUNK: stills.make,
    STORYBOARD_CHUNK: storyboard.make,
}
#: Whose renditions' progress a piece tells, where it makes any.
_NAMES: Final[dict[str, Callable[[Plan], tuple[str, ...]]]] = {
    SOUND_CHUNK: sounds.names_of,
    POSTER_CHUNK: lambda _: (),
    STORYBOARD_CHUNK: lambda _: (),
}


async def make(making: Making, attempt: Attempt) -> Marker:
    """Make the chunk, write the attempt, and put its marker (or give that of an attempt that was quicker)."""
    with scratch.folder(making.settings, scratch_bytes(making.plan, making.chunk)) as folder:
        bench = command.Bench(making.engine.ffmpeg, making.master, folder, making.settings.threads)
        return await _MAKERS.get(making.chunk, pictures.make)(making, bench, attempt)


def names_of(plan: Plan, chunk: str) -> tuple[str, ...]:
    """The renditions whose progress a chunk reports."""
    return _NAMES.get(chunk, pictures.names_of)(plan)
