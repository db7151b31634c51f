"""The folder of the disk tier: bodies as plain files with what is known of them beside; every call may block."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from gateway.edge.objects import CHUNK_BYTES, Object

_NAME: Final = re.compile(r"[0-9a-f]{40}\.[0-9a-f]{8}(\.json)?(\.tmp)?\Z")
_NOTE, _TMP = ".json", ".tmp"


class Note(msgspec.Struct, frozen=True):
    """What is known of a body; it lies beside it, and a body without one does not count."""

    key: str
    etag: str
    size: int
    sha256: str
    #: Its file, relative to the folder. Each write has a name of its own, so that none is ever changed.
    name: str


class Folder:
    """Files `<2 hex>/<40 hex of the key>.<8 hex>` and their notes. One process at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = -1

    def open(self) -> bool:
        """Make the folder and lock it; False: another process has it. Raises OSError."""
        self._path.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._lock = lock
        return True

    def close(self) -> None:
        """Let another process have it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def path(self, note: Note) -> str:
        """Where a body lies."""
        return str(self._path / note.name)

    def scan(self) -> list[Note]:
        """All that is whole, least recently used first; the rest is removed. Reads no body."""
        found: list[tuple[float, Note]] = []
        for folder in sorted(self._path.glob("[0-9a-f][0-9a-f]")):
            files = {path.name: path for path in folder.iterdir() if _NAME.match(path.name)}
            kept = {note.key: (used, note) for used, note in sorted(self._notes(files), key=_age)}
            found += kept.values()
            names = {Path(note.name).name for _, note in kept.values()}
            for name, path in files.items():
                if name.removesuffix(_NOTE) not in names:
                    path.unlink(missing_ok=True)
        return [note for _, note in sorted(found, key=_age)]

    def _notes(self, files: dict[str, Path]) -> Iterator[tuple[float, Note]]:
        for name, path in files.items():
            body = files.get(name.removesuffix(_NOTE))
            if not name.endswith(_NOTE) or body is None:
                continue
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                note = msgspec.json.decode(path.read_bytes(), type=Note)
                if note.name == f"{body.parent.name}/{body.name}" and body.stat().st_size == note.size:
                    yield path.stat().st_mtime, note

    def write(self, key: str, found: Object) -> Note:
        """Put a body and then its note, each whole or not at all. Raises OSError and leaves nothing."""
        digest = hashlib.sha256(key.encode()).hexdigest()[:40]
        name = f"{digest[:2]}/{digest}.{secrets.token_hex(4)}"
        checksum = hashlib.sha256()
        for chunk in found.chunks:
            checksum.update(chunk)
        note = Note(key, found.etag, found.size, checksum.hexdigest(), name)
        body = self._path / name
        body.parent.mkdir(exist_ok=True)
        try:
            _put(body, found.chunks)
            _put(body.with_name(body.name + _NOTE), [msgspec.json.encode(note)])
        except OSError:
            self.remove([note])
            raise
        return note

    def is_there(self, note: Note) -> bool:
        """Whether there still is a file of that size. Fast: the directory is in memory."""
        try:
            return Path(self.path(note)).stat().st_size == note.size
        except OSError:
            return False

    def verify(self, note: Note) -> bool:
        """Whether a body is what its note says, byte for byte. A used entry becomes the youngest."""
        try:
            with Path(self.path(note)).open("rb") as file:
                is_right = (
                    os.fstat(file.fileno()).st_size == note.size
                    and hashlib.file_digest(file, "sha256").hexdigest() == note.sha256
                )
            os.utime(self.path(note) + _NOTE)
        except OSError:
            return False
        return is_right

    def read(self, note: Note) -> Object | None:
        """A body in pieces; None where it is not what its note says."""
        checksum, chunks = hashlib.sha256(), []
        try:
            with Path(self.path(note)).open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    checksum.update(chunk)
                    chunks.append(chunk)
            os.utime(self.path(note) + _NOTE)
        except OSError:
            return None
        if checksum.hexdigest() != note.sha256:
            return None
        return Object(note.etag, note.size, tuple(chunks))

    def remove(self, notes: Iterable[Note]) -> None:
        """Unlink bodies with their notes, the notes first."""
        for note in notes:
            body = Path(self.path(note))
            for path in (body.with_name(body.name + _NOTE), body):
                for leftover in (path, path.with_name(path.name + _TMP)):
                    with contextlib.suppress(OSError):
                        leftover.unlink()


def _age(found: tuple[float, Note]) -> float:
    return found[0]


def _put(path: Path, chunks: Iterable[bytes]) -> None:
    temporary = path.with_name(path.name + _TMP)
    with temporary.open("xb", buffering=0) as file:
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                rest = rest[file.write(rest) :]
    temporary.rename(path)
