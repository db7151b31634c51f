"""A bucket behind a bad network: answers are right, refused or cut, never wrong; and all is well once it is well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support import trouble
from tests.support.edge import until
from tests.support.players import failed, linked
from tests.support.s3 import S3Server, nanio
from tests.support.theatre import Theatre, lasting_theatre

pytestmark = pytest.mark.asyncio(loop_scope="module")
PLAYERS, SEGMENTS = 6, 6
#: What `make test` tries; `usher chaos` tries all, for longer.
TRIED = ("latency", "refuse", "blackhole", "reset-in-body", "truncate-in-body", "truncate-before-end")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with nanio(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory, server: S3Server) -> AsyncIterator[Theatre]:
    """One for all tests: each reads segments that no other did."""
    folder, count = tmp_path_factory.mktemp("bad-bucket"), SEGMENTS * (len(TRIED) + 3)
    async with lasting_theatre(folder, server, segments=count, size=trouble.SIZE, origin_timeout_s="1") as running:
        yield running


def cold(stage: Theatre, number: int) -> list[str]:
    """Segments that only the test of this number reads."""
    return stage.film.segments[number * SEGMENTS : (number + 1) * SEGMENTS]


@pytest.mark.parametrize("name", TRIED)
async def test_no_byte_is_wrong_whatever_happens_on_the_way_to_the_bucket(stage: Theatre, name: str) -> None:
    number = TRIED.index(name)
    players = await stage.seated(PLAYERS, begin=number * PLAYERS)
    await trouble.through_a_bad_bucket(stage, trouble.TO_THE_BUCKET[name], players=players, keys=cold(stage, number))


async def test_what_is_in_memory_is_served_while_the_bucket_is_silent(stage: Theatre) -> None:
    warm, missing = cold(stage, len(TRIED)), cold(stage, len(TRIED) + 1)[:2]
    players = await stage.seated(PLAYERS, begin=300)
    await players[0].play(warm)
    stage.bucket.set(blackhole=True)
    waiting = [asyncio.ensure_future(one.fetch(key)) for one, key in zip(players, missing, strict=False)]
    rest = players[len(waiting) :]
    await asyncio.gather(*(one.fetch(warm[0]) for one in rest))
    assert not any(one.done() for one in waiting)
    for one in rest:
        await one.play(warm)
    assert failed(got for one in rest for got in one.fetched) == []
    assert {one.status for one in await asyncio.gather(*waiting)} == {503}
    stage.bucket.set()
    await until(lambda: right(stage, players[0].token, missing[0]), deadline_s=trouble.WELL_WITHIN_S)


async def right(stage: Theatre, token: str, key: str) -> bool:
    return await stage.status(token, key) == 200


async def test_a_refusal_for_want_of_the_bucket_says_when_to_come_again(stage: Theatre) -> None:
    (player,) = await stage.seated(1, begin=400)
    key = cold(stage, len(TRIED) + 2)[0]
    stage.bucket.set(refuse=True)
    stage.bucket.reset()
    async with linked(stage.edge.port) as link:
        answer = await link.ask("GET", f"/t/{player.token}/{key}")
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["cache-control"] == "no-store"
        stage.bucket.set()

        async def same_connection_right() -> bool:
            return (await link.ask("GET", f"/t/{player.token}/{key}")).status == 200

        await until(same_connection_right, deadline_s=trouble.WELL_WITHIN_S)
