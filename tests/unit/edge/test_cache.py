"""The RAM cache: its budget, who goes first, and one fetch for all who wait."""

from __future__ import annotations

import asyncio

import pytest
from obstore.store import MemoryStore

from gateway.edge.cache import MUTABLE_S, OVERHEAD_BYTES, Cache
from gateway.edge.objects import CHUNK_BYTES, Object
from gateway.edge.origin import Origin
from shared.errors import NotFound, StoreUnavailable


class Shelf:
    """A source that answers when it is let, and counts how often it was asked."""

    def __init__(self, size: int = 1000) -> None:
        self.asked: list[str] = []
        self.size, self.fails = size, False
        self.let = asyncio.Event()
        self.let.set()

    async def read(self, key: str) -> Object:
        self.asked.append(key)
        await self.let.wait()
        if self.fails:
            raise StoreUnavailable
        return Object('"x"', self.size, (b"x" * self.size,))


async def test_the_budget_holds_and_the_oldest_goes_first() -> None:
    shelf = Shelf()
    cache = Cache(shelf, budget_bytes=3 * (1000 + OVERHEAD_BYTES), tick=lambda: 0.0)
    for key in ("a", "b", "c"):
        await cache.get(key)
    assert cache.held("a")
    await cache.get("d")
    assert [bool(cache.held(key)) for key in "abcd"] == [True, False, True, True]
    assert cache.bytes_held == 3 * (1000 + OVERHEAD_BYTES)


async def test_an_object_above_the_budget_is_served_and_not_kept() -> None:
    cache = Cache(Shelf(5000), budget_bytes=1000, tick=lambda: 0.0)
    found, how = await cache.get("a")
    assert (found.size, how, cache.bytes_held) == (5000, "miss", 0)


async def test_many_who_wait_cause_one_fetch_even_when_the_first_leaves() -> None:
    shelf = Shelf()
    cache = Cache(shelf, budget_bytes=10_000, tick=lambda: 0.0)
    shelf.let.clear()
    first, *others = [asyncio.create_task(cache.get("a")) for _ in range(10)]
    await asyncio.sleep(0)
    first.cancel()
    shelf.let.set()
    answers = await asyncio.gather(*others)
    assert {how for _, how in answers} == {"collapsed"}
    assert shelf.asked == ["a"]


async def test_a_failure_is_not_remembered() -> None:
    shelf = Shelf()
    cache = Cache(shelf, budget_bytes=10_000, tick=lambda: 0.0)
    shelf.fails = True
    with pytest.raises(StoreUnavailable):
        await cache.get("a")
    shelf.fails = False
    assert (await cache.get("a"))[1] == "miss"


async def test_a_media_playlist_is_asked_for_again_and_segments_are_not() -> None:
    shelf, clock = Shelf(), [0.0]
    cache = Cache(shelf, budget_bytes=10_000, tick=lambda: clock[0])
    for _ in range(2):
        await cache.get("v/t/ver/720/index.m3u8")
        await cache.get("v/t/ver/720/0/0.m4s")
        clock[0] += MUTABLE_S
    assert shelf.asked.count("v/t/ver/720/index.m3u8") == 2
    assert shelf.asked.count("v/t/ver/720/0/0.m4s") == 1
    assert cache.bytes_held == 2 * (1000 + OVERHEAD_BYTES)


async def test_an_object_comes_in_pieces_of_bytes() -> None:
    store, data = MemoryStore(), bytes(range(256)) * 2000
    await store.put_async("v/a", data)
    found = await Origin(store, timeout_s=5).read("v/a")
    assert b"".join(found.chunks) == data
    assert {type(chunk) for chunk in found.chunks} == {bytes}
    assert max(map(len, found.chunks)) == CHUNK_BYTES
    assert found.etag.startswith('"')


@pytest.mark.parametrize("key", ["v/none", "v", "v/../x"])
async def test_a_key_that_names_no_object_is_not_found(key: str) -> None:
    with pytest.raises(NotFound):
        await Origin(MemoryStore(), timeout_s=5).read(key)
