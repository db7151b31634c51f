"""The cache on a bucket in memory: budgets, what is remembered, and playlists that change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import ClassVar

import obstore
import pytest
from obstore.store import MemoryStore

from gateway.edge.absent import ABSENT_S, NAMES, Absent
from gateway.edge.cache import FRESH_S, STALE_S, Cache
from gateway.edge.filling import Filling, Torn
from gateway.edge.heads import belies
from gateway.edge.objects import CHUNK_BYTES, Object
from gateway.edge.origin import Origin
from gateway.edge.ram import OVERHEAD_BYTES, Ram
from gateway.edge.room import Room
from shared.errors import NotFound, StoreUnavailable
from tests.support.edge import until

PLAYLIST, SEGMENT = "v/t/ver/720/index.m3u8", "v/t/ver/720/0/0.m4s"


class Bench:
    """A cache on a bucket in memory, with a clock moved by hand."""

    def __init__(self, budget_bytes: int = 1 << 20) -> None:
        self.store, self.now = MemoryStore(), 100.0
        self.cache = Cache(
            Origin(self.store, timeout_s=5, tick=lambda: self.now), budget_bytes=budget_bytes, tick=lambda: self.now
        )

    async def put(self, key: str, body: bytes) -> None:
        await self.store.put_async(key, body)

    async def is_idle(self) -> bool:
        return self.cache.fills.in_flight == 0

    async def body(self, key: str) -> bytes:
        found, _ = await self.cache.get(key)
        return b"".join(await pieces(found))


async def pieces(found: object) -> list[bytes]:
    if isinstance(found, Object):
        return list(found.chunks)
    assert isinstance(found, Filling)
    return [piece async for piece in found.pieces(0, found.size)]


def test_the_budget_holds_and_the_oldest_goes_first() -> None:
    ram = Ram(3 * (1000 + OVERHEAD_BYTES))
    for key in ("a", "b", "c"):
        ram.keep(key, Object('"x"', 1000, (b"x" * 1000,)))
    assert ram.held("a")
    ram.keep("d", Object('"x"', 1000, (b"x" * 1000,)))
    assert [bool(ram.held(key)) for key in "abcd"] == [True, False, True, True]
    assert ram.bytes_held == 3 * (1000 + OVERHEAD_BYTES)


async def test_an_object_above_the_budget_is_served_and_not_kept() -> None:
    bench = Bench(budget_bytes=1000)
    await bench.put(SEGMENT, b"x" * 5000)
    assert await bench.body(SEGMENT) == b"x" * 5000
    assert (bench.cache.bytes_held, bench.cache.held(SEGMENT)) == (0, None)


async def test_a_big_object_comes_in_pieces_of_bytes_and_is_held_afterwards() -> None:
    bench, data = Bench(), bytes(range(256)) * 2000
    await bench.put(SEGMENT, data)
    found, how = await bench.cache.get(SEGMENT)
    assert isinstance(found, Filling) and how == "miss"
    got = await pieces(found)
    assert b"".join(got) == data
    assert {type(piece) for piece in got} == {bytes}
    assert {len(piece) for piece in got[:-1]} == {CHUNK_BYTES}
    await bench.cache.get(SEGMENT)
    held = bench.cache.held(SEGMENT)
    assert held is not None and held.etag == found.etag and held.etag.startswith('"')
    assert b"".join(held.chunks) == data


@pytest.mark.parametrize("key", ["v/none", "v", "v/../x", SEGMENT])
async def test_a_key_that_names_no_object_is_not_found(key: str) -> None:
    with pytest.raises(NotFound):
        await Bench().cache.get(key)


async def test_a_name_of_an_unfinished_version_is_found_as_soon_as_it_is_there() -> None:
    bench = Bench()
    with pytest.raises(NotFound):
        await bench.cache.get(SEGMENT)
    await bench.put(SEGMENT, b"now")
    assert await bench.body(SEGMENT) == b"now"


async def test_a_name_absent_from_a_finished_version_is_remembered_for_a_moment() -> None:
    bench = Bench()
    await bench.put("v/t/ver/ready.json", b"{}")
    with pytest.raises(NotFound):
        await bench.cache.get(SEGMENT)
    await bench.put(SEGMENT, b"late")
    with pytest.raises(NotFound):
        await bench.cache.get(SEGMENT)
    bench.now += ABSENT_S
    assert await bench.body(SEGMENT) == b"late"


def test_absent_names_are_bounded_and_the_oldest_is_forgotten() -> None:
    absent = Absent(tick=lambda: 0.0)
    for number in range(NAMES + 1):
        absent.add(str(number))
    assert [absent.holds(str(number)) for number in (0, 1, NAMES)] == [False, True, True]


async def test_a_playlist_of_an_unfinished_version_is_fresh_for_a_second_and_then_renewed() -> None:
    bench = Bench()
    await bench.put(PLAYLIST, b"#EXTM3U\n1")
    await bench.body(PLAYLIST)
    await bench.put(PLAYLIST, b"#EXTM3U\n2")
    bench.now += FRESH_S / 2
    assert bench.cache.held(PLAYLIST) is not None
    bench.now += FRESH_S / 2 + STALE_S
    assert bench.cache.held(PLAYLIST) is None
    found, how = await bench.cache.get(PLAYLIST)
    assert (await pieces(found), how) == ([b"#EXTM3U\n2"], "revalidated")


async def test_a_stale_playlist_is_served_while_one_request_renews_it() -> None:
    bench = Bench()
    await bench.put(PLAYLIST, b"#EXTM3U\n1")
    await bench.body(PLAYLIST)
    await bench.put(PLAYLIST, b"#EXTM3U\n2")
    bench.now += FRESH_S
    assert (await bench.body(PLAYLIST), (await bench.cache.get(PLAYLIST))[1]) == (b"#EXTM3U\n1", "hit")

    async def is_renewed() -> bool:
        return bench.cache.held(PLAYLIST) is not None

    await until(is_renewed)
    assert await bench.body(PLAYLIST) == b"#EXTM3U\n2"


async def test_a_playlist_read_before_its_version_was_ready_is_read_once_more_and_then_final() -> None:
    bench = Bench()
    await bench.put(PLAYLIST, b"#EXTM3U\nhalf")
    await bench.body(PLAYLIST)
    await bench.put(PLAYLIST, b"#EXTM3U\nwhole")
    await bench.put("v/t/ver/ready.json", b"{}")
    bench.now += FRESH_S + STALE_S
    assert await bench.body(PLAYLIST) == b"#EXTM3U\nwhole"
    bench.now += 1e6
    assert bench.cache.held(PLAYLIST) is not None


async def test_playlists_of_editions_never_change() -> None:
    bench = Bench()
    await bench.put("v/t/e/ed/720.m3u8", b"#EXTM3U\n")
    await bench.body("v/t/e/ed/720.m3u8")
    bench.now += 1e6
    assert bench.cache.held("v/t/e/ed/720.m3u8") is not None


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("0.m4s", b"<html><body>502 Bad Gateway"),
        ("0.m4s", b'{"message": "internal"}'),
        ("0.m4s", b"no healthy upstream"),
        ("init.mp4", b"\xef\xbb\xbf<?xml version='1.0'?><Error>"),
        ("0.m4s", b""),
        ("index.m3u8", b"<html>"),
        ("index.m3u8", b""),
        ("1.vtt", b"1\n00:00:00"),
        ("poster.jpg", b"GIF89a"),
    ],
)
def test_a_body_that_is_not_what_its_name_says_is_told(name: str, head: bytes) -> None:
    assert belies(f"v/t/ver/720/{name}", head)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("0.m4s", b"\0\0\0\x18stypmsdh\0\0\0\0"),
        ("init.mp4", b"\0\0\0\x20ftypiso5"),
        ("index.m3u8", b"#EXTM3U\n"),
        ("1.vtt", b"\xef\xbb\xbfWEBVTT\n"),
        ("poster.jpg", b"\xff\xd8\xff\xe0"),
    ],
)
def test_media_are_what_their_names_say(name: str, head: bytes) -> None:
    assert not belies(f"v/t/ver/720/{name}", head)


@pytest.mark.parametrize("size", [100, 500_000])
async def test_an_error_page_is_neither_served_nor_kept(size: int) -> None:
    bench = Bench()
    await bench.put(SEGMENT, b"<html>" + b"x" * size)
    with pytest.raises(StoreUnavailable):
        await bench.cache.get(SEGMENT)
    assert bench.cache.bytes_held == 0


async def test_a_body_of_another_length_than_announced_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    class Short:
        meta: ClassVar = {"size": 1001, "e_tag": '"x"'}

        def stream(self, min_chunk_size: int) -> AsyncIterator[bytes]:
            return parts()

    async def parts() -> AsyncIterator[bytes]:
        yield bytes(1000)

    async def short(*_: object, **__: object) -> Short:
        return Short()

    monkeypatch.setattr(obstore, "get_async", short)
    bench = Bench()
    with pytest.raises(StoreUnavailable):
        await bench.cache.get(SEGMENT)
    assert bench.cache.bytes_held == 0


async def test_readers_of_a_filling_get_any_range_of_it_and_learn_when_it_is_torn() -> None:
    data = bytes(range(256)) * 1200
    filling = Filling('"x"', len(data))
    ranges = [
        (0, len(data)),
        (5, 10),
        (CHUNK_BYTES - 1, CHUNK_BYTES + 1),
        (CHUNK_BYTES, 2 * CHUNK_BYTES),
        (300_000, len(data)),
    ]
    reads = [asyncio.create_task(_read(filling, start, end)) for start, end in ranges]
    for start in range(0, len(data), CHUNK_BYTES):
        await asyncio.sleep(0)
        filling.add(data[start : start + CHUNK_BYTES])
    assert await asyncio.gather(*reads) == [data[start:end] for start, end in ranges]
    torn = Filling('"x"', len(data))
    torn.add(data[:CHUNK_BYTES])
    read = asyncio.create_task(_read(torn, 0, len(data)))
    await asyncio.sleep(0)
    torn.tear()
    with pytest.raises(Torn):
        await read


async def _read(filling: Filling, start: int, end: int) -> bytes:
    return b"".join([piece async for piece in filling.pieces(start, end)])


async def test_room_is_given_in_turn_and_one_who_leaves_loses_none_of_it() -> None:
    room = Room(10)
    first = await room.lease(8, timeout_s=5)
    second, third = (asyncio.create_task(room.lease(wanted, timeout_s=5)) for wanted in (100, 1))
    await asyncio.sleep(0)
    assert not second.done() and not third.done()
    second.cancel()
    await asyncio.wait([second, third])
    assert room.free == 1
    first.release()
    first.release()
    assert room.free == 9
    del third
    assert room.free == 10
    everything = await room.lease(100, timeout_s=5)
    assert room.free == 0
    everything.release()
    assert room.free == 10


async def test_a_turn_that_comes_as_its_owner_leaves_is_given_to_the_next() -> None:
    room = Room(10)
    first = await room.lease(10, timeout_s=5)
    second, third = (asyncio.create_task(room.lease(10, timeout_s=5)) for _ in range(2))
    await asyncio.sleep(0)
    first.release()
    second.cancel()
    lease = await third
    assert room.free == 0
    lease.release()
    assert room.free == 10


async def test_room_comes_back_from_another_thread() -> None:
    room, leases = Room(10), []
    leases.append(await room.lease(10, timeout_s=5))
    waiting = asyncio.create_task(room.lease(10, timeout_s=5))
    await asyncio.to_thread(leases.clear)
    lease = await waiting
    assert room.free == 0
    del waiting, lease
    assert room.free == 10


async def test_who_finds_no_room_in_time_is_told() -> None:
    room = Room(1)
    lease = await room.lease(1, timeout_s=1)
    with pytest.raises(TimeoutError):
        await room.lease(1, timeout_s=0.01)
    lease.release()
    assert room.free == 1


async def test_what_a_slow_reader_holds_takes_room_until_he_has_left() -> None:
    bench, size = Bench(budget_bytes=1 << 20), 700_000
    free = bench.cache.room.free
    for number in range(3):
        await bench.put(f"v/t/ver/720/0/{number}.m4s", bytes(size))
    readers = [(await bench.cache.get(f"v/t/ver/720/0/{number}.m4s"))[0] for number in range(3)]
    for reader in readers:
        await pieces(reader)
    await until(bench.is_idle)
    assert bench.cache.bytes_held == size + OVERHEAD_BYTES
    assert bench.cache.room.free == free - 3 * size
    del reader
    readers.clear()
    assert bench.cache.room.free == free - size


async def test_the_cache_makes_room_for_what_comes() -> None:
    bench, size = Bench(budget_bytes=4 << 20), 700_000
    for number in range(5):
        await bench.put(f"v/t/ver/720/0/{number}.m4s", bytes(size))
    for number in range(4):
        await bench.body(f"v/t/ver/720/0/{number}.m4s")
    await until(bench.is_idle)
    held = bench.cache.room.lease_now(bench.cache.room.free)
    assert held is not None
    await bench.body("v/t/ver/720/0/4.m4s")
    await until(bench.is_idle)
    assert [bench.cache.held(f"v/t/ver/720/0/{number}.m4s") is not None for number in range(5)] == [False, *[True] * 4]
