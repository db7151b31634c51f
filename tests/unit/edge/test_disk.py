"""The disk tier: its budget, its grace, and that nothing wrong ever comes out of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.edge.disk import AGAIN_S, GRACE_S, OVERHEAD_BYTES, PAUSE_S, SMALL_BYTES, Disk
from gateway.edge.objects import Filed, Object, in_pieces

BIG = os.urandom(300_000)
SMALL = os.urandom(SMALL_BYTES - 1)
ROOM_FOR_3 = 3 * (len(BIG) + OVERHEAD_BYTES)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def thing(body: bytes) -> Object:
    return Object('"tag"', len(body), tuple(in_pieces(memoryview(body))))


def bodies(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("??/*") if not path.name.endswith(".json"))


async def put(disk: Disk, key: str, body: bytes) -> None:
    disk.keep(key, thing(body))
    await disk.written()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def disk(tmp_path: Path, clock: Clock) -> AsyncIterator[Disk]:
    disk = Disk(tmp_path / "cache", budget_bytes=ROOM_FOR_3, tick=clock)
    await disk.open()
    yield disk
    await disk.close()


async def reopened(disk: Disk, folder: Path, clock: Clock) -> Disk:
    """The tier of the next process."""
    await disk.close()
    again = Disk(folder, budget_bytes=ROOM_FOR_3, tick=clock)
    await again.open()
    return again


async def test_a_big_object_comes_back_as_a_file_and_a_small_one_in_ram(disk: Disk) -> None:
    await put(disk, "big", BIG)
    await put(disk, "small", SMALL)
    big, small = await disk.find("big"), await disk.find("small")
    assert isinstance(big, Filed) and isinstance(small, Object)
    assert (big.etag, big.size, Path(big.path).read_bytes()) == ('"tag"', len(BIG), BIG)
    assert (small.etag, small.size, b"".join(small.chunks)) == ('"tag"', len(SMALL), SMALL)


async def test_nothing_is_found_before_it_is_written(disk: Disk) -> None:
    assert await disk.find("a") is None
    assert disk.at_hand("a") is None


async def test_a_restart_keeps_what_is_there_and_the_budget(tmp_path: Path, disk: Disk, clock: Clock) -> None:
    for key in "abc":
        await put(disk, key, BIG)
    again = await reopened(disk, tmp_path / "cache", clock)
    found = await again.find("b")
    assert isinstance(found, Filed) and Path(found.path).read_bytes() == BIG
    assert again.bytes_held == ROOM_FOR_3
    await put(again, "d", BIG)
    assert [await again.find(key) is not None for key in "abcd"] == [False, True, True, True]
    assert len(bodies(tmp_path / "cache")) == 3
    await again.close()


async def test_the_budget_holds_and_the_least_recently_used_goes(tmp_path: Path, disk: Disk, clock: Clock) -> None:
    for key in "abc":
        await put(disk, key, BIG)
    await disk.find("a")
    clock.now += GRACE_S
    await put(disk, "d", BIG)
    assert [await disk.find(key) is not None for key in "abcd"] == [True, False, True, True]
    assert (disk.bytes_held, len(bodies(tmp_path / "cache"))) == (ROOM_FOR_3, 3)


async def test_a_file_that_was_handed_out_stays_for_its_grace(tmp_path: Path, disk: Disk, clock: Clock) -> None:
    for key in "abc":
        await put(disk, key, BIG)
    found = await disk.find("a")
    assert isinstance(found, Filed)
    clock.now += GRACE_S - 1
    for key in "bc":
        await disk.find(key)
    await put(disk, "d", BIG)
    await disk.bury()
    assert Path(found.path).read_bytes() == BIG
    assert (await disk.find("a"), await disk.find("d")) == (None, None)
    clock.now += 1
    await disk.bury()
    assert not Path(found.path).exists()
    await put(disk, "d", BIG)
    assert await disk.find("d") is not None
    assert disk.bytes_held == ROOM_FOR_3


@pytest.mark.parametrize("body", [BIG, SMALL])
async def test_a_body_that_changed_is_never_served(tmp_path: Path, disk: Disk, clock: Clock, body: bytes) -> None:
    await put(disk, "a", body)
    [path] = bodies(tmp_path / "cache")
    path.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    assert await disk.find("a") is None
    clock.now += GRACE_S
    await disk.bury()
    assert bodies(tmp_path / "cache") == []
    assert (disk.failures["verify"], disk.bytes_held) == (1, 0)
    await put(disk, "a", body)
    assert await disk.find("a") is not None


async def test_a_body_that_was_shortened_or_removed_is_not_found(tmp_path: Path, disk: Disk) -> None:
    for key in "abc":
        await put(disk, key, BIG)
        assert await disk.find(key) is not None
    first, second, third = bodies(tmp_path / "cache")
    first.write_bytes(BIG[:-1])
    second.unlink()
    assert sum(disk.at_hand(key) is not None for key in "abc") == 1
    assert third.exists()


async def test_a_file_used_again_soon_is_told(disk: Disk, clock: Clock) -> None:
    await put(disk, "a", BIG)
    assert disk.at_hand("a") is None  # not verified yet
    await disk.find("a")
    clock.now += AGAIN_S
    late, again = disk.at_hand("a"), disk.at_hand("a")
    assert late is not None and again is not None
    assert (late[1], again[1]) == (False, True)


async def test_what_a_killed_process_left_is_removed_and_the_rest_kept(
    tmp_path: Path, disk: Disk, clock: Clock
) -> None:
    for key in "abc":
        await put(disk, key, BIG)
    half, orphan, spoilt = bodies(tmp_path / "cache")
    (half.parent / (half.name + ".tmp")).write_bytes(b"half")
    (orphan.parent / (orphan.name + ".json")).unlink()
    (spoilt.parent / (spoilt.name + ".json")).write_bytes(b'{"key"')
    again = await reopened(disk, tmp_path / "cache", clock)
    assert bodies(tmp_path / "cache") == [half]
    assert again.bytes_held == len(BIG) + OVERHEAD_BYTES
    await again.close()


async def test_two_processes_never_share_a_folder(tmp_path: Path, disk: Disk, clock: Clock) -> None:
    other = Disk(tmp_path / "cache", budget_bytes=ROOM_FOR_3, tick=clock)
    await other.open()
    await put(other, "a", BIG)
    assert (await other.find("a"), bodies(tmp_path / "cache")) == (None, [])
    await disk.close()
    await other.open()
    await put(other, "a", BIG)
    assert await other.find("a") is not None
    await other.close()


async def test_a_disk_that_takes_no_bytes_is_counted_and_left_alone_for_a_while(
    tmp_path: Path, disk: Disk, clock: Clock
) -> None:
    folder = tmp_path / "cache"
    folder.rename(tmp_path / "away")
    folder.write_bytes(b"")
    await put(disk, "a", BIG)
    await put(disk, "b", BIG)
    assert (disk.failures["write"], disk.bytes_held) == (1, 0)
    folder.unlink()
    (tmp_path / "away").rename(folder)
    clock.now += PAUSE_S
    await put(disk, "a", BIG)
    assert await disk.find("a") is not None


async def test_a_file_that_is_being_verified_is_not_unlinked(tmp_path: Path, disk: Disk) -> None:
    for key in "abc":
        await put(disk, key, BIG)
        if key == "a":
            [path] = bodies(tmp_path / "cache")
    path.unlink()
    os.mkfifo(path)
    (tmp_path / "pipe").hardlink_to(path)
    finding = asyncio.create_task(disk.find("a"))
    await asyncio.sleep(0)
    for key in "def":
        await put(disk, key, BIG)
    is_there = path.exists()
    os.close(os.open(tmp_path / "pipe", os.O_WRONLY))
    assert (is_there, await finding) == (True, None)


async def test_a_disk_that_hangs_is_left_alone_for_a_while(
    tmp_path: Path, disk: Disk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.edge.disk.READ_TIMEOUT_S", 0.1)
    await put(disk, "a", BIG)
    [path] = bodies(tmp_path / "cache")
    path.unlink()
    os.mkfifo(path)
    assert (await disk.find("a"), disk.failures["read"]) == (None, 1)
    assert (await disk.find("a"), disk.failures["read"]) == (None, 1)
    os.close(os.open(path, os.O_WRONLY))
    path.unlink()
    path.write_bytes(BIG)
    clock.now += PAUSE_S
    assert isinstance(await disk.find("a"), Filed)


async def test_a_folder_that_cannot_be_made_leaves_the_tier_empty(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_bytes(b"")
    disk = Disk(tmp_path / "file" / "cache", budget_bytes=ROOM_FOR_3, tick=clock)
    await disk.open()
    await put(disk, "a", BIG)
    assert (await disk.find("a"), disk.failures["open"]) == (None, 1)
    await disk.close()
