"""The edge in trouble for longer: every fault of bucket and Redis, a bucket that takes five seconds, slow readers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support import trouble
from tests.support.players import Fetched, failed
from tests.support.s3 import S3Server, nanio
from tests.support.theatre import Theatre, lasting_theatre, theatre

pytestmark = pytest.mark.asyncio(loop_scope="module")
IS_LONG = int(os.environ.get("USHER_CHAOS_ROUNDS", "1")) > 1
PLAYERS, SEGMENTS = (20, 20) if IS_LONG else (5, 5)
#: What the short form tries besides what the integration tests try.
TRIED = tuple(trouble.TO_THE_BUCKET) if IS_LONG else ("bandwidth", "truncate-at-head")
#: No more than the edge reads at once, so that none waits for the turn of another.
WARM, COLD = (40, 60) if IS_LONG else (10, 25)
SLOW_S, LAG_S = 5.0 if IS_LONG else 2.0, 0.02
LAG = "usher_edge_loop_lag_seconds"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with nanio(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory, server: S3Server) -> AsyncIterator[Theatre]:
    """One for all tests: each reads segments that no other did."""
    folder, count = tmp_path_factory.mktemp("trouble"), SEGMENTS * len(TRIED)
    async with lasting_theatre(
        folder, server, segments=count, size=trouble.SIZE, origin_timeout_s="2", seat_renew_s="1"
    ) as running:
        yield running


@pytest.mark.parametrize("name", TRIED)
async def test_no_byte_is_wrong_in_any_trouble_of_the_bucket(stage: Theatre, name: str) -> None:
    number = TRIED.index(name)
    players = await stage.seated(PLAYERS, begin=number * PLAYERS)
    keys = stage.film.segments[number * SEGMENTS : (number + 1) * SEGMENTS]
    await trouble.through_a_bad_bucket(stage, trouble.TO_THE_BUCKET[name], players=players, keys=keys)


async def test_the_event_loop_does_not_wait_for_a_slow_bucket(tmp_path: Path, server: S3Server, redis_url: str) -> None:
    """Many wait for cold segments of a bucket that takes seconds; warm ones are served as if there was none."""
    async with theatre(tmp_path, server, redis_url, segments=COLD + 4, size=60_000) as stage:
        warm, cold = stage.film.segments[:4], stage.film.segments[4:]
        players = await stage.seated(WARM)
        await players[0].play(warm)
        waiting = await stage.seated(COLD, begin=WARM)
        stage.bucket.set(latency_s=SLOW_S / 2)
        before = await stage.edge.metrics()
        missing = [asyncio.ensure_future(one.fetch(key)) for one, key in zip(waiting, cold, strict=True)]
        got = await trouble.play_all(players, warm * int(SLOW_S * 2), pace_s=0.1)
        missed: list[Fetched] = list(await asyncio.gather(*missing))
        after = await stage.edge.metrics()
    assert failed(got) == [] and failed(missed) == []
    assert min(one.took_s for one in missed) >= SLOW_S
    rings = after[f"{LAG}_count"] - before.get(f"{LAG}_count", 0)
    in_time = after[f'{LAG}_bucket{{le="{LAG_S}"}}'] - before.get(f'{LAG}_bucket{{le="{LAG_S}"}}', 0)
    assert rings > 0
    if IS_LONG:
        assert in_time >= 0.99 * rings, f"{rings - in_time:.0f} of {rings:.0f} timers rang more than 20 ms late"
