"""Making one piece of work, whichever it is: a folder of its own, and the maker of its kind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

from farm import command, pictures, sounds, stills
from farm.making import Making
from farm.plan import Plan
from farm.publish import Attempt, Marker
from shared.jobs import POSTER_CHUNK, SOUND_CHUNK
from shared.settings import FarmSettings

#: A folder of a chunk is left alone this long, whoever made it.
REMAINS_S = 3600
Maker = Callable[[Making, command.Bench, Attempt], Awaitable[Marker]]
#: Who makes what; all others are chunks of the picture.
_MAKERS: Final[dict[str, Maker]] = {SOUND_CHUNK: sounds.make, POSTER_CHUNK: stills.make}
#: Whose renditions' progress a piece tells, where it makes any.
_NAMES: Final[dict[str, Callable[[Plan], tuple[str, ...]]]] = {
    SOUND_CHUNK: sounds.names_of,
    POSTER_CHUNK: lambda _: (),
}


async def make(making: Making, attempt: Attempt) -> Marker:
    """Make the chunk, write the attempt, and put its marker (or give that of an attempt that was quicker)."""
    with _folder(making.settings) as folder:
        bench = command.Bench(making.engine.ffmpeg, making.master, folder, making.settings.threads)
        return await _MAKERS.get(making.chunk, pictures.make)(making, bench, attempt)


def names_of(plan: Plan, chunk: str) -> tuple[str, ...]:
    """The renditions whose progress a chunk reports."""
    return _NAMES.get(chunk, pictures.names_of)(plan)


@contextlib.contextmanager
def _folder(settings: FarmSettings) -> Iterator[Path]:
    """A folder of the chunk's own, locked while it is in use and gone afterwards."""
    root = settings.scratch_dir.absolute() / "chunks"
    root.mkdir(parents=True, exist_ok=True)
    _drop_remains(root)
    folder = Path(tempfile.mkdtemp(dir=root))
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _drop_remains(root: Path) -> None:
    """Remove folders of workers that were killed: old, and locked by nobody."""
    for folder in root.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime < REMAINS_S:
                continue
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
