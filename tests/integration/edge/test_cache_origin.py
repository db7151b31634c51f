"""The cache on a bucket over HTTP that fails in every way: one read for all, no wrong byte, nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.edge.breaker import FAILURES, OPEN_S
from gateway.edge.cache import FRESH_S, STALE_S, Cache
from gateway.edge.filling import Filling, Torn
from gateway.edge.fills import PAUSES_S
from gateway.edge.objects import CHUNK_BYTES, Object
from gateway.edge.origin import Origin
from shared.errors import NotFound, StoreUnavailable
from tests.support.bucket_server import BucketServer, Fault, bucket_server
from tests.support.edge import until

BIG, SMALL = os.urandom(900_001), os.urandom(5000)
SEGMENT, INIT, PLAYLIST = "v/t/ver/720/0/0.m4s", "v/t/ver/720/init.mp4", "v/t/ver/720/index.m3u8"


class Clock:
    """A clock that stands still but for what it is pushed forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return 1000.0 + self.ahead_s


class Rig:
    """A bucket, and a cache on it."""

    def __init__(self, bucket: BucketServer, clock: Clock) -> None:
        self.bucket, self.clock = bucket, clock
        self.make()

    def make(self, *, timeout_s: float = 5, retries: int = 0) -> None:
        self.origin = Origin(self.bucket.store(retries=retries), timeout_s=timeout_s, tick=self.clock)
        self.cache = Cache(self.origin, budget_bytes=64 << 20, tick=self.clock)

    async def body(self, key: str) -> bytes:
        return await body(self.cache, key)

    async def settle(self) -> None:
        """Wait until nothing is being read any more."""
        await until(_truth(lambda: self.cache.fills.in_flight == 0))


async def body(cache: Cache, key: str) -> bytes:
    found, _ = await cache.get(key)
    if isinstance(found, Object):
        return b"".join(found.chunks)
    assert isinstance(found, Filling)
    return b"".join([piece async for piece in found.pieces(0, found.size)])


def _truth(condition: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return condition()

    return holds


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with bucket_server() as bucket:
        bucket.objects = {
            SEGMENT: BIG,
            INIT: SMALL,
            PLAYLIST: b"#EXTM3U\n1\n",
            "v/t/done/ready.json": b"{}",
        }
        rig = Rig(bucket, Clock())
        yield rig
        await rig.cache.close()


@pytest.mark.parametrize("key", [SEGMENT, INIT])
async def test_a_thousand_misses_at_once_are_one_read(rig: Rig, key: str) -> None:
    bodies = await asyncio.gather(*(rig.body(key) for _ in range(1000)))
    assert set(bodies) == {rig.bucket.objects[key]}
    assert rig.bucket.reads(key) == 1


async def test_bytes_are_handed_on_before_the_last_one_arrives_and_late_readers_get_all(rig: Rig) -> None:
    rig.bucket.let.clear()
    found, how = await rig.cache.get(SEGMENT)
    assert isinstance(found, Filling) and how == "miss"
    assert b"".join([piece async for piece in found.pieces(10, 2 * CHUNK_BYTES)]) == BIG[10 : 2 * CHUNK_BYTES]
    late = asyncio.create_task(rig.body(SEGMENT))
    await asyncio.sleep(0)
    rig.bucket.let.set()
    assert await late == BIG
    assert rig.bucket.reads(SEGMENT) == 1


async def test_a_fill_ends_well_when_all_its_readers_have_left(rig: Rig) -> None:
    rig.bucket.let.clear()
    before = asyncio.all_tasks()
    readers = [asyncio.create_task(rig.body(SEGMENT)) for _ in range(500)]
    await until(_truth(lambda: rig.bucket.reads(SEGMENT) == 1))
    for reader in readers:
        reader.cancel()
    await asyncio.wait(readers)
    rig.bucket.let.set()
    await until(_truth(lambda: rig.cache.held(SEGMENT) is not None))
    await rig.settle()
    assert rig.cache.bytes_held < 2 * len(BIG)
    assert {task for task in asyncio.all_tasks() - before if "answer" not in repr(task)} == set()


@pytest.mark.parametrize("leaver", [0, 3])
async def test_one_who_leaves_disturbs_nobody_who_waits(rig: Rig, leaver: int) -> None:
    rig.bucket.let.clear()
    readers = [asyncio.create_task(rig.body(INIT)) for _ in range(10)]
    await until(_truth(lambda: rig.bucket.reads(INIT) == 1))
    readers.pop(leaver).cancel()
    await asyncio.sleep(0)
    rig.bucket.let.set()
    assert set(await asyncio.gather(*readers)) == {SMALL}
    assert rig.bucket.reads(INIT) == 1


async def test_a_small_body_that_breaks_off_is_read_anew(rig: Rig) -> None:
    rig.bucket.faults[INIT].extend([Fault(cut_at=100)] * len(PAUSES_S))
    assert await rig.body(INIT) == SMALL
    assert rig.bucket.reads(INIT) == 1 + len(PAUSES_S)


async def test_a_small_body_that_always_breaks_off_is_never_served_nor_kept(rig: Rig) -> None:
    rig.bucket.faults[INIT].extend([Fault(cut_at=100)] * (1 + len(PAUSES_S)))
    with pytest.raises(StoreUnavailable):
        await rig.body(INIT)
    assert rig.cache.bytes_held == 0
    assert await rig.body(INIT) == SMALL


@pytest.mark.parametrize("cut_at", [CHUNK_BYTES + 1, 3 * CHUNK_BYTES, len(BIG) - 1])
async def test_a_big_body_that_breaks_off_is_torn_and_not_kept(rig: Rig, cut_at: int) -> None:
    rig.bucket.faults[SEGMENT].append(Fault(cut_at=cut_at))
    readers = await asyncio.gather(*(rig.body(SEGMENT) for _ in range(20)), return_exceptions=True)
    assert {type(reader) for reader in readers} == {Torn}
    await rig.settle()
    assert rig.cache.bytes_held == 0
    assert await rig.body(SEGMENT) == BIG


async def test_the_rest_of_a_body_is_fetched_where_it_is_the_same_object(rig: Rig) -> None:
    rig.make(retries=2)
    rig.bucket.faults[SEGMENT].append(Fault(cut_at=400_000))
    assert await rig.body(SEGMENT) == BIG
    assert [asked.headers.get("range") for asked in rig.bucket.asked] == [None, f"bytes=400000-{len(BIG) - 1}"]


async def test_the_rest_of_another_object_is_never_put_behind_the_beginning(rig: Rig) -> None:
    rig.make(retries=2)
    rig.bucket.faults[SEGMENT].extend([Fault(cut_at=400_000), *[Fault(is_other=True)] * 5])
    with pytest.raises(Torn):
        await rig.body(SEGMENT)
    await rig.settle()
    assert rig.cache.bytes_held == 0


async def test_a_body_that_stops_arriving_is_torn_within_the_deadline(rig: Rig) -> None:
    rig.make(timeout_s=0.3)
    rig.bucket.faults[SEGMENT].append(Fault(stall_at=500_000))
    async with asyncio.timeout(30):
        with pytest.raises(Torn):
            await rig.body(SEGMENT)
    await rig.settle()

    async def is_whole() -> bool:
        with contextlib.suppress(Torn, StoreUnavailable):
            return await rig.body(SEGMENT) == BIG
        return False

    await until(is_whole)


async def test_a_bucket_that_never_answers_is_unavailable_and_soon_not_asked(rig: Rig) -> None:
    rig.make(timeout_s=0.1)
    rig.bucket.faults[INIT].extend([Fault(is_silent=True)] * FAILURES)
    for _ in range(FAILURES):
        with pytest.raises(StoreUnavailable):
            await rig.body(INIT)
    assert rig.origin.breaker.state == "open"


async def test_who_finds_no_room_within_the_deadline_is_told(rig: Rig) -> None:
    rig.make(timeout_s=0.3)
    held = rig.cache.room.lease_now(rig.cache.room.free)
    assert held is not None
    async with asyncio.timeout(30):
        with pytest.raises(StoreUnavailable):
            await rig.body(INIT)
    held.release()


async def test_who_waits_for_room_is_served_when_there_is_some(rig: Rig) -> None:
    rig.make(timeout_s=600)
    held = rig.cache.room.lease_now(rig.cache.room.free)
    assert held is not None
    waiting = asyncio.create_task(rig.body(INIT))
    await until(_truth(lambda: rig.bucket.reads(INIT) == 1))
    held.release()
    assert await waiting == SMALL


async def test_an_open_breaker_asks_nothing_while_hits_go_on_and_one_probe_closes_it(rig: Rig) -> None:
    await rig.body(INIT)
    rig.bucket.faults[SEGMENT].extend([Fault(status=503)] * FAILURES)
    for _ in range(FAILURES):
        with pytest.raises(StoreUnavailable):
            await rig.body(SEGMENT)
    before = len(rig.bucket.asked)
    for _ in range(50):
        with pytest.raises(StoreUnavailable):
            await rig.body(SEGMENT)
    assert len(rig.bucket.asked) == before
    assert await rig.body(INIT) == SMALL
    rig.clock.ahead_s += OPEN_S
    assert await rig.body(SEGMENT) == BIG
    assert rig.origin.breaker.state == "closed"


async def test_names_that_are_not_there_never_open_the_breaker(rig: Rig) -> None:
    for number in range(3 * FAILURES):
        with pytest.raises(NotFound):
            await rig.body(f"v/t/ver/720/0/{number + 1}.m4s")
    assert await rig.body(SEGMENT) == BIG


async def test_absent_names_of_a_finished_version_are_asked_for_once(rig: Rig) -> None:
    async def ask(number: int) -> None:
        with pytest.raises(NotFound):
            await rig.body(f"v/t/done/720/0/{number}.m4s")

    for _ in range(5):
        await asyncio.gather(*(ask(number % 2) for number in range(20)))
    assert rig.bucket.reads("v/t/done/ready.json", "HEAD") == 1
    # The very first may have been asked for before the version was known to be finished.
    assert max(rig.bucket.reads(f"v/t/done/720/0/{number}.m4s") for number in range(2)) <= 2


async def test_a_playlist_that_may_change_is_revalidated_by_one_request_a_second(rig: Rig) -> None:
    for _ in range(4):
        assert set(await asyncio.gather(*(rig.body(PLAYLIST) for _ in range(100)))) == {b"#EXTM3U\n1\n"}
        rig.clock.ahead_s += FRESH_S + STALE_S
    assert rig.bucket.reads(PLAYLIST) == 4
    first, *later = [asked.headers.get("if-none-match") for asked in rig.bucket.asked if asked.key == PLAYLIST]
    assert first is None and all(later)
    rig.bucket.objects[PLAYLIST] = b"#EXTM3U\n1\n2\n"
    assert await rig.body(PLAYLIST) == b"#EXTM3U\n1\n2\n"


async def test_a_playlist_is_final_once_its_version_is_ready(rig: Rig) -> None:
    await rig.body(PLAYLIST)
    rig.bucket.objects["v/t/ver/ready.json"] = b"{}"
    rig.clock.ahead_s += FRESH_S + STALE_S
    await rig.body(PLAYLIST)
    before = len(rig.bucket.asked)
    rig.clock.ahead_s += 1e6
    await rig.body(PLAYLIST)
    assert len(rig.bucket.asked) == before


async def test_a_playlist_of_a_finished_version_outlives_the_bucket(rig: Rig) -> None:
    rig.bucket.objects["v/t/ver/ready.json"] = b"{}"
    await rig.body(PLAYLIST)
    before = len(rig.bucket.asked)
    rig.clock.ahead_s += 1e6
    assert await rig.body(PLAYLIST) == b"#EXTM3U\n1\n"
    assert len(rig.bucket.asked) == before


async def test_a_playlist_that_cannot_be_renewed_is_not_served_for_ever(rig: Rig) -> None:
    await rig.body(PLAYLIST)
    rig.bucket.faults[PLAYLIST].extend([Fault(status=503)] * 9)
    rig.clock.ahead_s += FRESH_S + STALE_S
    with pytest.raises(StoreUnavailable):
        await rig.body(PLAYLIST)


async def test_closing_ends_what_is_still_being_read(rig: Rig) -> None:
    rig.make(timeout_s=60)
    rig.bucket.let.clear()
    reader = asyncio.create_task(rig.body(SEGMENT))
    await until(_truth(lambda: rig.bucket.reads(SEGMENT) == 1))
    async with asyncio.timeout(30):
        await rig.cache.close()
    with pytest.raises((Torn, asyncio.CancelledError)):
        await reader
    assert rig.cache.fills.in_flight == 0
