"""Local copies of masters: stopped on the way, checked before anybody reads them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from farm import masters as module
from farm.masters import Masters
from shared.errors import Stopped, StoreUnavailable
from shared.storage import ObjectInfo
from shared.storage.files import FolderBucket

KEY = "masters/t/a"


class Endless(FolderBucket):
    """A bucket whose answer never ends."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked = asyncio.Event()

    async def fetch(self, key: str, path: Path) -> ObjectInfo:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError


class Counting(FolderBucket):
    """A bucket that counts what is fetched of it."""

    fetched = 0

    async def fetch(self, key: str, path: Path) -> ObjectInfo:
        self.fetched += 1
        return await super().fetch(key, path)


async def test_a_stop_ends_the_fetching_of_a_master_and_the_waiting_for_one(tmp_path: Path) -> None:
    bucket, stop = Endless(tmp_path / "bucket"), asyncio.Event()
    await bucket.put(KEY, b"a")

    async def read() -> None:
        async with Masters(tmp_path / "kept", 1 << 30).local(bucket, KEY, stop=stop):
            raise AssertionError

    reading = [asyncio.create_task(read()) for _ in range(2)]
    asked = asyncio.create_task(bucket.asked.wait())
    await asyncio.wait([asked, *reading], return_when=asyncio.FIRST_COMPLETED)
    stop.set()

    found = await asyncio.gather(*reading, return_exceptions=True)
    assert [type(one) for one in found] == [Stopped, Stopped]


async def test_pieces_of_one_master_are_made_at_the_same_time(tmp_path: Path) -> None:
    """Each in a process of its own, on one machine: all read the same copy."""
    bucket, fetches = Counting(tmp_path / "bucket"), 3
    await bucket.put(KEY, b"a")
    reading = asyncio.Barrier(fetches)

    async def read() -> bytes:
        async with Masters(tmp_path / "kept", 1 << 30).local(bucket, KEY) as path:
            await reading.wait()
            return path.read_bytes()

    async with asyncio.timeout(60):
        assert await asyncio.gather(*(read() for _ in range(fetches))) == [b"a"] * fetches
    assert bucket.fetched == 1


async def test_a_copy_that_nobody_could_check_is_fetched_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its worker was killed between the last byte and the check."""
    bucket, masters = FolderBucket(tmp_path / "bucket"), Masters(tmp_path / "kept", 1 << 30)
    await bucket.put(KEY, b"other")

    async def killed(path: Path, sha256: str) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(module, "_verify", killed)
        with pytest.raises(RuntimeError):
            await _read(masters, bucket)
    with pytest.raises(StoreUnavailable, match="another checksum"):
        await _read(masters, bucket)
    assert [path.name for path in (tmp_path / "kept").iterdir() if path.suffix != ".lock"] == []


async def _read(masters: Masters, bucket: FolderBucket) -> bytes:
    async with masters.local(bucket, KEY, "0" * 64) as path:
        return path.read_bytes()
