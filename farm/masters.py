"""Local copies of masters: fetched once a machine however many workers want one, within a quota."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from farm.stopping import unless
from shared.errors import EncodeFailed, NoRoom, StoreUnavailable
from shared.storage import Bucket

#: Seconds between two tries at a lock that another process holds.
RETRY_S = 0.1
#: Code of StoreUnavailable where the bytes that came are not the ones that were uploaded.
CHECKSUM = "checksum"
_BLOCK = 1 << 20


class Masters:
    """A folder of masters. A lock file beside each: exclusive while it is fetched or removed, shared in use."""

    def __init__(self, folder: Path, quota_bytes: int) -> None:
        self._folder, self._quota_bytes = folder, quota_bytes
        folder.mkdir(parents=True, exist_ok=True)

    @contextlib.asynccontextmanager
    async def local(
        self, bucket: Bucket, key: str, sha256: str = "", *, stop: asyncio.Event | None = None
    ) -> AsyncIterator[Path]:
        """The master's local copy, there for the length of the block; checked against `sha256` when it is fetched.

        Raises NotFound and StoreUnavailable as the bucket does, the latter also for bytes with another checksum,
        NoRoom while copies in use or other files take too much, EncodeFailed (`lost`) for one that would not fit alone,
        and Stopped soon after `stop` is set, however long fetching would take.
        """
        path = self._folder / _name(key)
        with _opened(path.with_suffix(".lock")) as lock:
            await unless(stop, self._hold(lock, bucket, key, sha256=sha256))
            yield path

    async def _hold(self, lock: int, bucket: Bucket, key: str, *, sha256: str) -> None:
        """Have the copy there and a share of its lock, as all have who read it; one alone fetches it."""
        path = self._folder / _name(key)
        while True:
            if _is_taken(lock, fcntl.LOCK_SH):
                if path.exists():
                    return os.utime(path)
                fcntl.flock(lock, fcntl.LOCK_UN)
                if _is_taken(lock, fcntl.LOCK_EX) and not path.exists():
                    self._drop_remains(path)
                    await self._fetched(bucket, key, path, sha256=sha256)
                    continue
            await asyncio.sleep(RETRY_S)

    async def _fetched(self, bucket: Bucket, key: str, path: Path, *, sha256: str) -> None:
        """Fetch it; it has its name only once it was checked."""
        await self._make_room(bucket, key)
        part = path.with_suffix(".part")
        await bucket.fetch(key, part)
        await _verify(part, sha256)
        part.rename(path)

    async def _make_room(self, bucket: Bucket, key: str) -> None:
        info = await bucket.head(key)
        need = info.size_bytes if info else 0
        if need > self._quota_bytes:
            words = f"this machine has no room for the master: {need >> 20} MiB are needed, "
            words += f"all copies may take {self._quota_bytes >> 20}"
            raise EncodeFailed(words, code="scratch-full", lost=True)
        have = sorted(self._copies(), key=lambda copy: copy[1].st_mtime)
        free = shutil.disk_usage(self._folder).free
        room = min(self._quota_bytes - sum(seen.st_size for _, seen in have), free)
        for path, seen in have:
            if room >= need:
                break
            room += seen.st_size if _removed(path) else 0
        if room < need:
            words = f"this machine has no room for the master now: {need >> 20} MiB are needed"
            raise NoRoom(f"{words}, {max(0, room) >> 20} are free")

    def _drop_remains(self, ours: Path) -> None:
        """Remove what a worker that was killed while it fetched left behind; who fetches now holds the lock."""
        for part in (*self._folder.glob(".*"), *self._folder.glob("*.part")):
            copy = self._folder / part.name.lstrip(".").split(".")[0]
            if copy == ours:
                part.unlink(missing_ok=True)
            else:
                _removed(copy, part)

    def has(self, key: str) -> bool:
        """Whether there is a copy now."""
        return (self._folder / _name(key)).exists()

    def drop(self, key: str) -> None:
        """Remove the copy of a master unless somebody reads it now."""
        _removed(self._folder / _name(key))

    def _copies(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self._folder.iterdir():
            if len(path.name) == 32:
                with contextlib.suppress(FileNotFoundError):  # another worker removed it just now
                    yield path, path.stat()


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def sha256_of(path: Path) -> str:
    """The checksum of a file. Blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


async def _verify(path: Path, sha256: str) -> None:
    if sha256 and (found := await asyncio.to_thread(sha256_of, path)) != sha256:
        await asyncio.to_thread(path.unlink)
        words = "the master that was fetched has another checksum"
        raise StoreUnavailable(words, code=CHECKSUM, expected=sha256, found=found)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _is_taken(file: int, how: int) -> bool:
    """Take a lock if nobody is in the way. One that was held before is lost where somebody is."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _removed(path: Path, part: Path | None = None) -> bool:
    """Whether the copy (or the `part` of one) is gone; one in use stays.

    Its lock file stays too, or two could hold it at once.
    """
    with _opened(path.with_suffix(".lock")) as lock:
        if not _is_taken(lock, fcntl.LOCK_EX):
            return False
        (part or path).unlink(missing_ok=True)
        return True
