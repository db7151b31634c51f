"""Redis behind a bad network: who plays goes on, who comes waits or is told to come again, and caps hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support import trouble
from tests.support.edge import until
from tests.support.players import failed
from tests.support.s3 import S3Server, nanio
from tests.support.theatre import Theatre, lasting_theatre

pytestmark = pytest.mark.asyncio(loop_scope="module")
PLAYERS, SEGMENTS = 8, 6


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with nanio(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory, server: S3Server) -> AsyncIterator[Theatre]:
    """One for all tests; renewals come each second, so that a short test sees them fail."""
    folder = tmp_path_factory.mktemp("bad-redis")
    async with lasting_theatre(folder, server, segments=SEGMENTS, size=50_000, seat_renew_s="1") as running:
        yield running


@pytest.mark.parametrize("name", trouble.TO_REDIS)
async def test_who_plays_goes_on_whatever_happens_on_the_way_to_redis(stage: Theatre, name: str) -> None:
    number = list(trouble.TO_REDIS).index(name)
    players = await stage.seated(PLAYERS, begin=number * PLAYERS)
    await trouble.through_a_bad_redis(
        stage, trouble.TO_REDIS[name], players=players, newcomer=600 + 2 * number, turns=2
    )


async def test_a_connection_to_redis_that_died_is_replaced_and_nobody_notices(stage: Theatre) -> None:
    players = await stage.seated(PLAYERS, begin=300)
    for turn in range(5):
        stage.redis.reset()
        assert {await trouble.first_of(stage, 700 + 10 * turn + number) for number in range(3)} == {200}
    assert failed(await trouble.play_all(players, stage.film.segments)) == []


async def test_a_screen_over_the_cap_stays_out_through_an_outage(stage: Theatre) -> None:
    """Whatever Redis does, the second screen of a cap of one never plays while the first does."""
    inside = stage.player(1, sub="single", cap=1)
    outside = stage.edge.token(scope=stage.film.scope, sub="single", cap=1)
    assert (await inside.fetch(stage.film.playlist)).is_right
    assert await stage.status(outside, stage.film.playlist) == 409
    stage.redis.set(blackhole=True)
    for _ in range(3):
        assert (await inside.fetch(stage.film.segment(0))).is_right
        assert await stage.status(outside, stage.film.playlist) in (409, 503)
    stage.redis.set()

    async def counted_again() -> bool:
        assert (await inside.fetch(stage.film.segment(1))).is_right
        status = await stage.status(outside, stage.film.playlist)
        assert status in (409, 503)
        return status == 409

    await until(counted_again, deadline_s=trouble.WELL_WITHIN_S)
    inside.close()
