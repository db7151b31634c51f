"""Folders of chunks in work: each locked by who works in it, all within a quota, gone afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from shared.errors import EncodeFailed, NoRoom
from shared.settings import FarmSettings

#: What a folder may take, as its maker said: a file in it.
_ASKED = ".bytes"


@contextlib.contextmanager
def folder(settings: FarmSettings, need_bytes: int) -> Iterator[Path]:
    """A folder of the chunk's own for `need_bytes`, removed at the end.

    Raises NoRoom while others take too much, and EncodeFailed (`lost`) for what would not fit even alone.
    """
    root = _root(settings)
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root):
        _drop_remains(root)
        taken = used_bytes(settings)
        if taken + need_bytes > settings.scratch_quota_bytes:
            words = (
                f"this machine has no room for it: {need_bytes >> 20} MiB are needed beside {taken >> 20} of "
                f"{settings.scratch_quota_bytes >> 20} MiB in use"
            )
            if need_bytes > settings.scratch_quota_bytes:
                raise EncodeFailed(words, code="scratch-full", lost=True)
            raise NoRoom(words)
        made = Path(tempfile.mkdtemp(dir=root))
        (made / _ASKED).write_text(str(need_bytes))
        lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


def used_bytes(settings: FarmSettings) -> int:
    """What the chunks in work take or may yet take, the more of both for each."""
    root = _root(settings)
    return sum(max(_asked(one), _size(one)) for one in _folders(root)) if root.exists() else 0


def _root(settings: FarmSettings) -> Path:
    return settings.scratch_dir.absolute() / "chunks"


def _folders(root: Path) -> Iterator[Path]:
    return (one for one in root.iterdir() if one.is_dir() and not one.is_symlink())


def _asked(folder: Path) -> int:
    try:
        return int((folder / _ASKED).read_text())
    except (OSError, ValueError):
        return 0


def _size(folder: Path) -> int:
    size = 0
    for at, _, files in os.walk(folder):  # which passes over what is removed meanwhile
        for name in files:
            with contextlib.suppress(OSError):
                size += Path(at, name).lstat().st_blocks * 512
    return size


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Alone among those who make folders, for the moment it takes. Blocks."""
    lock = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _drop_remains(root: Path) -> None:
    """Remove folders of workers that were killed: those that nobody has locked."""
    for left in _folders(root):
        with contextlib.suppress(OSError):
            lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(lock)
