"""Viewers who hang up half way: nothing of theirs stays, neither descriptor nor memory nor work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.edge import DEADLINE_S, until
from tests.support.edge_process import EdgeProcess
from tests.support.players import Cut, connect
from tests.support.s3 import S3Server, nanio
from tests.support.theatre import Theatre, address, theatre

LEAVERS, AT_ONCE = 500, 50
SIZE = 4_000_000
#: Descriptors an edge may hold besides those it had when idle: connections to Redis and bucket that it keeps.
KEPT_DESCRIPTORS = 80
KEPT_BYTES = 48 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with nanio(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
async def stage(tmp_path: Path, server: S3Server, redis_url: str) -> AsyncIterator[Theatre]:
    async with theatre(tmp_path, server, redis_url, segments=12, size=SIZE) as running:
        yield running


async def leave(stage: Theatre, number: int, *, key: str) -> None:
    """Ask, again while Redis does not answer in time, read a little of the body, hang up."""
    path = f"/t/{stage.edge.token(scope=stage.film.scope, sub=f'leaver-{number}')}/{key}"
    link = await connect(stage.edge.port, source=address(number))
    with contextlib.suppress(Cut):
        await link.send("GET", path)
        async with asyncio.timeout(DEADLINE_S):
            while (head := await link.head()).status == 503:
                link.close()
                await asyncio.sleep(1)
                link = await connect(stage.edge.port, source=address(number))
                await link.send("GET", path)
        assert head.status == 200, head
        await link.reader.readexactly(10_000 + number * 100)
    link.close()


async def all_leave(stage: Theatre, keys: list[str], *, begin: int) -> None:
    for first in range(begin, begin + LEAVERS, AT_ONCE):
        numbers = range(first, first + AT_ONCE)
        await asyncio.gather(*(leave(stage, n, key=keys[n % len(keys)]) for n in numbers))


async def settled(edge: EdgeProcess, *, descriptors: int) -> None:
    """Wait until nothing is being answered and no more than so many descriptors are open."""

    async def few() -> bool:
        return (await edge.metrics())["usher_edge_in_flight"] == 0 and edge.usage().descriptors <= descriptors

    await until(few)


async def test_five_hundred_who_leave_half_way_leave_nothing(stage: Theatre) -> None:
    (player,) = await stage.seated(1, begin=4000)
    assert (await player.fetch(stage.film.segment(0))).is_right
    idle = stage.edge.usage()
    await all_leave(stage, [stage.film.segment(0)], begin=0)
    await settled(stage.edge, descriptors=idle.descriptors + KEPT_DESCRIPTORS)
    assert stage.edge.usage().rss_bytes - idle.rss_bytes <= KEPT_BYTES
    assert (await player.fetch(stage.film.segment(0))).is_right
    player.close()
    assert await stage.edge.stop() == 0
    assert "Traceback" not in stage.edge.log.read_text()


async def test_viewers_who_leave_while_the_object_still_arrives_do_no_harm(stage: Theatre) -> None:
    """The bucket is slow, all who asked for a segment leave; who comes next gets every byte."""
    (player,) = await stage.seated(1, begin=4000)
    idle = stage.edge.usage()
    stage.bucket.set(bandwidth=2_000_000)
    cold = [stage.film.segment(number) for number in range(1, 11)]
    await all_leave(stage, cold, begin=1000)
    stage.bucket.set()
    await settled(stage.edge, descriptors=idle.descriptors + KEPT_DESCRIPTORS)
    for key in cold:
        assert (await player.fetch(key)).is_right
    assert all(stage.tap.reads(key) <= 3 for key in cold), stage.tap.asked
    player.close()
    assert await stage.edge.stop() == 0
    assert "Traceback" not in stage.edge.log.read_text()
