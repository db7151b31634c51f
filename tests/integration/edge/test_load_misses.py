"""A crowd at the same cold segment: one read of the bucket, and bytes passed on while they arrive."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from benchmarks.client import lift_file_limit
from tests.support.edge import until
from tests.support.players import Link, connect
from tests.support.s3 import S3Server, nanio
from tests.support.theatre import Theatre, address, theatre

CROWD, AT_ONCE = 1000, 50
SIZE = 600_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with nanio(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
async def stage(tmp_path: Path, server: S3Server, redis_url: str) -> AsyncIterator[Theatre]:
    async with theatre(tmp_path, server, redis_url, segments=3, size=SIZE) as running:
        yield running


@contextlib.asynccontextmanager
async def crowd(stage: Theatre, size: int) -> AsyncIterator[list[tuple[Link, str]]]:
    """Connections and tokens of so many viewers, each with a seat and the playlist."""
    viewers: list[tuple[Link, str]] = []
    lift_file_limit()

    async def arrive(number: int) -> None:
        token = stage.edge.token(scope=stage.film.scope, sub=f"one-of-{number}")
        link = await connect(stage.edge.port, source=address(number))
        viewers.append((link, token))
        assert (await link.ask("GET", f"/t/{token}/{stage.film.playlist}")).status == 200

    try:
        for first in range(0, size, AT_ONCE):
            await asyncio.gather(*(arrive(number) for number in range(first, first + AT_ONCE)))
        yield viewers
    finally:
        for link, _ in viewers:
            link.close()


async def test_a_thousand_misses_at_once_are_one_read_of_the_bucket(stage: Theatre) -> None:
    key = stage.film.segment(0)
    async with crowd(stage, CROWD) as viewers:
        stage.tap.let_through.clear()
        for link, token in viewers:
            await link.send("GET", f"/t/{token}/{key}")

        async def all_wait() -> bool:
            return (await stage.edge.metrics())["usher_edge_in_flight"] == CROWD and stage.tap.reads(key) == 1

        await until(all_wait)
        stage.tap.let_through.set()
        answers = await asyncio.gather(*(link.answer(keep=False) for link, _ in viewers))
    assert {(one.status, one.sha256) for one in answers} == {(200, stage.film.digests[key])}
    assert stage.tap.reads(key) == 1


async def test_a_thousand_ask_for_what_is_not_there_and_the_bucket_is_asked_few_times(stage: Theatre) -> None:
    key = stage.film.segment(0).replace("/0.m4s", "/777.m4s")
    async with crowd(stage, CROWD // 2) as viewers:
        for link, token in viewers:
            await link.send("GET", f"/t/{token}/{key}")
        answers = await asyncio.gather(*(link.answer() for link, _ in viewers))
    assert {one.status for one in answers} == {404}
    # A name of a finished version stays known to be absent for a few seconds; the crowd may take longer than one such.
    assert stage.tap.reads(key) <= 5


async def test_bytes_are_passed_on_while_the_rest_is_on_its_way(stage: Theatre) -> None:
    key = stage.film.segment(1)
    async with crowd(stage, 50) as viewers:
        # What the bucket sends is held back from the middle of the object on.
        stage.bucket.set(bandwidth=400_000)
        for link, token in viewers:
            await link.send("GET", f"/t/{token}/{key}")
        heads = await asyncio.gather(*(link.head() for link, _ in viewers))
        assert {head.status for head in heads} == {200}
        first = await asyncio.gather(*(link.reader.readexactly(100_000) for link, _ in viewers))
        stage.bucket.set(blackhole=True)
        assert stage.bucket.bytes_down < SIZE
        assert len(set(first)) == 1
        late = await connect(stage.edge.port, source=address(CROWD))
        await late.send("GET", f"/t/{stage.edge.token(scope=stage.film.scope, sub='late')}/{key}")
        begun = await late.reader.readexactly(50_000)
        stage.bucket.set()
        rest = await asyncio.gather(*(link.reader.readexactly(SIZE - 100_000) for link, _ in viewers))
        late.close()
    digests = {hashlib.sha256(one + other).hexdigest() for one, other in zip(first, rest, strict=True)}
    assert digests == {stage.film.digests[key]}
    assert begun.partition(b"\r\n\r\n")[2] == first[0][: len(begun.partition(b"\r\n\r\n")[2])]
    assert stage.tap.reads(key) == 1
