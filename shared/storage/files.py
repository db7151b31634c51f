"""The bucket as a folder: each object a plain file at its key, created by rename or by hard link.

What is written goes to a file in the hidden folder `.tmp/`, is fsynced there, and gets its name in one system call;
the folder that holds the name is fsynced too. So kill -9 leaves a whole object or none, and a power cut loses no object
that was answered for. `.tmp/` and `.multipart/` lie beside the objects and are never listed: no key starts with a dot.
Content types are not stored: the suffix tells. A key cannot be an object and the folder of others at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from shared.errors import Invalid, Misconfigured, NotFound, StoreUnavailable
from shared.storage.base import ObjectInfo, Part
from shared.storage.proof import prove_conditional_create
from shared.storage.rules import check_key, check_part_number, check_parts, check_prefix, check_range, check_start

Result = TypeVar("Result")

#: Content type by suffix; all else is octets.
CONTENT_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".m4s": "video/iso.segment",
    ".mp4": "video/mp4",
    ".jpg": "image/jpeg",
    ".vtt": "text/vtt",
    ".json": "application/json",
}
#: What a killed process left in the hidden folders is swept by `check` after this long.
LEFTOVER_S = 86_400
#: `delete` takes empty folders away; a writer that loses its folder so makes it again, this often at most.
_TRIES = 20
_LIST_BATCH = 256
_COPY_BYTES = 4 << 20


class FolderBucket:
    """Objects as files under `root`. All file work runs in threads."""

    def __init__(self, root: Path, *, now: Callable[[], float] = time.time) -> None:
        self._root = root
        self._now = now
        self._temporary = root / ".tmp"
        self._multipart = root / ".multipart"

    async def put(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> ObjectInfo:
        return await _off(self._put, check_key(key), lambda path: _write(path, data))

    async def put_if_absent(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> bool:
        return await _off(self._put_if_absent, check_key(key), data)

    async def put_file(self, key: str, path: Path, *, content_type: str = "application/octet-stream") -> ObjectInfo:
        return await _off(self._put, check_key(key), lambda temporary: _join(temporary, [path]))

    async def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        check_range(start, length)
        return await _off(self._get, check_key(key), start, length)

    async def fetch(self, key: str, path: Path) -> ObjectInfo:
        return await _off(self._fetch, check_key(key), path)

    async def head(self, key: str) -> ObjectInfo | None:
        return await _off(self._head, check_key(key))

    async def list_prefix(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        walk = self._walk(self._root, "", check_prefix(prefix))
        while batch := await _off(lambda: list(islice(walk, _LIST_BATCH))):
            for info in batch:
                yield info

    async def copy(self, source: str, target: str) -> None:
        await _off(self._copy, check_key(source), check_key(target))

    async def delete(self, keys: Sequence[str]) -> None:
        await _off(self._delete, [check_key(key) for key in keys])

    async def multipart_begin(self, key: str, *, content_type: str = "application/octet-stream") -> str:
        return await _off(self._multipart_begin, check_key(key))

    async def multipart_put(self, key: str, upload: str, *, number: int, data: bytes) -> Part:
        check_part_number(number)
        return await _off(lambda: self._multipart_put(check_key(key), upload, number=number, data=data))

    async def multipart_parts(self, key: str, upload: str) -> list[Part]:
        return await _off(self._multipart_parts, check_key(key), upload)

    async def multipart_complete(self, key: str, upload: str, parts: Sequence[Part]) -> ObjectInfo:
        return await _off(self._multipart_complete, check_key(key), upload, parts)

    async def multipart_abort(self, key: str, upload: str) -> None:
        with contextlib.suppress(NotFound):
            folder = await _off(self._upload_folder, check_key(key), upload)
            await _off(lambda: shutil.rmtree(folder, ignore_errors=True))

    async def presign_get(self, key: str, *, ttl_s: int) -> str | None:
        check_key(key)
        return None

    async def check(self) -> None:
        try:
            await asyncio.to_thread(self._sweep)
            await prove_conditional_create(self)
        except (OSError, StoreUnavailable) as error:
            raise Misconfigured(
                f"The bucket folder {self._root} cannot be used: {error}. It must be writable and on a file system "
                "with hard links; name another by USHER_BUCKET."
            ) from error

    async def close(self) -> None:
        """Nothing is held."""

    # What runs in threads.

    def _put(self, key: str, fill: Callable[[Path], None]) -> ObjectInfo:
        with self._temporary_file() as temporary:
            fill(temporary)
            info = _info(key, temporary.stat())
            self._name(temporary, key, os.replace)
        return info

    def _put_if_absent(self, key: str, data: bytes) -> bool:
        if self._head(key):
            return False
        with self._temporary_file() as temporary:
            _write(temporary, data)
            try:
                self._name(temporary, key, os.link)
            except FileExistsError:
                if (self._root / key).is_dir():
                    raise _both(key) from None
                return False
        return True

    def _get(self, key: str, start: int, length: int | None) -> bytes:
        with self._opened(key) as (file, status):
            check_start(start, status.st_size)
            wanted = status.st_size - start if length is None else min(length, status.st_size - start)
            pieces = []
            while wanted > 0 and (piece := os.pread(file, wanted, start)):
                pieces.append(piece)
                start, wanted = start + len(piece), wanted - len(piece)
        return b"".join(pieces)

    def _fetch(self, key: str, path: Path) -> ObjectInfo:
        beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            with self._opened(key) as (file, status):
                with open(file, "rb", closefd=False) as source, beside.open("xb") as target:
                    shutil.copyfileobj(source, target, _COPY_BYTES)
                beside.replace(path)
                return _info(key, status)
        finally:
            beside.unlink(missing_ok=True)

    def _head(self, key: str) -> ObjectInfo | None:
        try:
            status = (self._root / key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _info(key, status) if stat.S_ISREG(status.st_mode) else None

    def _copy(self, source: str, target: str) -> None:
        # Objects are never written in place, so a second name for the same file is a copy that costs nothing.
        with self._temporary_file() as temporary:
            try:
                os.link(self._root / source, temporary)
            except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
                if self._head(source) is None:
                    raise _missing(source) from error
                raise
            self._name(temporary, target, os.replace)

    def _delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            path = self._root / key
            if self._head(key) is None:
                continue
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                for folder in path.parents:
                    if folder == self._root:
                        break
                    folder.rmdir()

    def _multipart_begin(self, key: str) -> str:
        upload = secrets.token_hex(16)
        folder = self._multipart / upload
        _make_folders(folder)
        _write(folder / "key", key.encode())
        _sync_folder(folder)
        return upload

    def _multipart_put(self, key: str, upload: str, *, number: int, data: bytes) -> Part:
        folder = self._upload_folder(key, upload)
        with self._temporary_file() as temporary:
            _write(temporary, data)
            part = _part(number, temporary)
            try:
                temporary.replace(folder / str(number))
            except FileNotFoundError as error:
                raise _ended(key) from error
            _sync_folder(folder)
        return part

    def _multipart_parts(self, key: str, upload: str) -> list[Part]:
        folder = self._upload_folder(key, upload)
        try:
            numbers = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
            return [_part(number, folder / str(number)) for number in numbers]
        except FileNotFoundError as error:
            raise _ended(key) from error

    def _multipart_complete(self, key: str, upload: str, parts: Sequence[Part]) -> ObjectInfo:
        check_parts(parts, self._multipart_parts(key, upload))
        folder = self._upload_folder(key, upload)
        # The parts go only after the object has its name: killed in between, a second call joins them again.
        info = self._put(key, lambda path: _join(path, [folder / str(part.number) for part in parts]))
        shutil.rmtree(folder, ignore_errors=True)
        return info

    def _upload_folder(self, key: str, upload: str) -> Path:
        folder = self._multipart / upload
        try:
            if upload.isalnum() and (folder / "key").read_text() == key:
                return folder
        except FileNotFoundError:
            pass
        raise _ended(key)

    def _walk(self, folder: Path, base: str, prefix: str) -> Iterator[ObjectInfo]:
        try:
            with os.scandir(folder) as found:
                entries = sorted((e.name + "/" if e.is_dir(follow_symlinks=False) else e.name) for e in found)
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in entries:
            key = base + name
            if name.startswith(".") or not (key.startswith(prefix) or prefix.startswith(key)):
                continue
            if name.endswith("/"):
                yield from self._walk(folder / name, key, prefix)
            elif key.startswith(prefix) and (info := self._head(key)):
                yield info

    def _sweep(self) -> None:
        _make_folders(self._temporary)
        _make_folders(self._multipart)
        for path in (*self._temporary.iterdir(), *self._multipart.iterdir()):
            with contextlib.suppress(FileNotFoundError):
                if self._now() - path.stat().st_ctime < LEFTOVER_S:  # ctime: a copy has the mtime of its source
                    continue
                if not path.is_dir():
                    path.unlink()
                elif not (path / "key").exists():
                    shutil.rmtree(path, ignore_errors=True)

    @contextlib.contextmanager
    def _temporary_file(self) -> Iterator[Path]:
        _make_folders(self._temporary)
        path = self._temporary / secrets.token_hex(16)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _name(self, temporary: Path, key: str, act: Callable[[Path, Path], None]) -> None:
        target = self._root / key
        for _ in range(_TRIES):
            try:
                _make_folders(target.parent)
                act(temporary, target)
                break
            except FileNotFoundError:
                continue
            except (NotADirectoryError, IsADirectoryError) as error:
                raise _both(key) from error
        else:
            raise StoreUnavailable("The folder of this object vanishes as often as it is made.", key=key)
        with contextlib.suppress(FileNotFoundError):  # deleted again already
            _sync_folder(target.parent)

    @contextlib.contextmanager
    def _opened(self, key: str) -> Iterator[tuple[int, os.stat_result]]:
        try:
            file = os.open(self._root / key, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise _missing(key) from error
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise _missing(key)
            yield file, status
        finally:
            os.close(file)


async def _off(work: Callable[..., Result], *arguments: object) -> Result:
    """Run `work` in a thread; what the file system refuses is a store that did not answer."""
    try:
        return await asyncio.to_thread(work, *arguments)
    except OSError as error:
        raise StoreUnavailable(f"The bucket folder failed: {error.strerror or error}.", errno=error.errno) from error


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _join(path: Path, sources: Sequence[Path]) -> None:
    with path.open("xb") as file:
        for source in sources:
            with source.open("rb") as piece:
                shutil.copyfileobj(piece, file, _COPY_BYTES)
        file.flush()
        os.fsync(file.fileno())


def _make_folders(folder: Path) -> None:
    if folder.is_dir():
        return
    if folder != folder.parent:
        _make_folders(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError:
        if folder.is_dir():  # somebody else was quicker
            return
        raise NotADirectoryError(errno.ENOTDIR, "a file stands where a folder is needed") from None
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _etag(status: os.stat_result) -> str:
    # Every write makes a new file, so inode, time and size change together with the bytes.
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def _info(key: str, status: os.stat_result) -> ObjectInfo:
    kind = CONTENT_TYPES.get(Path(key).suffix, "application/octet-stream")
    return ObjectInfo(key=key, size_bytes=status.st_size, etag=_etag(status), content_type=kind)


def _part(number: int, path: Path) -> Part:
    status = path.stat()
    return Part(number=number, etag=_etag(status), size_bytes=status.st_size)


def _missing(key: str) -> NotFound:
    return NotFound(f"There is no object {key}.", key=key)


def _ended(key: str) -> NotFound:
    return NotFound("This multipart upload ended or never began.", key=key)


def _both(key: str) -> Invalid:
    return Invalid(f"{key} cannot be an object and the folder of others at once.", key=key)
