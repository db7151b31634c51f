"""Local copies of masters: stopped on the way, checked before anybody reads them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from farm import masters as module
from farm.masters import Masters
from shared.errors import EncodeFailed, NoRoom, Stopped, StoreUnavailable
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


async def test_room_is_made_on_a_full_disk_and_none_is_used_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, bucket = tmp_path / "kept", Counting(tmp_path / "bucket")

    def disk(_: Path) -> SimpleNamespace:
        return SimpleNamespace(free=25 - sum(path.stat().st_size for path in kept.iterdir()))

    monkeypatch.setattr("farm.masters.shutil.disk_usage", disk)
    for name in "abc":
        await bucket.put(f"masters/t/{name}", b"0123456789")
    masters = Masters(kept, 1 << 30)

    async with masters.local(bucket, "masters/t/a"):
        pass
    async with masters.local(bucket, "masters/t/b"), masters.local(bucket, "masters/t/c"):
        assert not masters.has("masters/t/a")
        with pytest.raises(NoRoom, match="no room for the master"):
            async with masters.local(bucket, "masters/t/a"):
                raise AssertionError
    assert bucket.fetched == 3


async def test_a_master_that_would_not_fit_alone_is_left_to_other_machines_and_drives_no_copy_out(
    tmp_path: Path,
) -> None:
    bucket, masters = Counting(tmp_path / "bucket"), Masters(tmp_path / "kept", 20)
    await bucket.put(KEY, b"0123456789")
    await bucket.put("masters/t/large", b"0" * 21)
    async with masters.local(bucket, KEY):
        pass

    with pytest.raises(EncodeFailed, match="all copies may take") as failed:
        async with masters.local(bucket, "masters/t/large"):
            raise AssertionError
    assert (failed.value.code, failed.value.details["lost"]) == ("scratch-full", True)
    assert (masters.has(KEY), bucket.fetched) == (True, 1)


async def test_a_copy_that_another_worker_removes_meanwhile_is_passed_over(tmp_path: Path) -> None:
    bucket, masters = FolderBucket(tmp_path / "bucket"), Masters(tmp_path / "kept", 1 << 30)
    await bucket.put(KEY, b"a")
    (tmp_path / "kept" / ("0" * 32)).symlink_to(tmp_path / "gone")

    async with masters.local(bucket, KEY) as path:
        assert path.read_bytes() == b"a"
