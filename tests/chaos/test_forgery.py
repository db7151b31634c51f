"""Forged tokens by the thousand: each is refused, and players beside them notice nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.films import Film, film_in
from tests.support.forgers import Order, forging, outcome
from tests.support.granian import EdgeProcess, edge_process
from tests.support.players import Fetched, Player, failed, percentile
from tests.support.theatre import address

IS_LONG = int(os.environ.get("USHER_CHAOS_ROUNDS", "1")) > 1
RATE, SECONDS = 2000, 20 if IS_LONG else 2
PLAYERS, PACE_S = 100 if IS_LONG else 30, 0.25
#: Below this, times are the scheduler's mood and are not compared.
QUIET_S = 0.005


@pytest.fixture
def film(tmp_path: Path) -> Film:
    return film_in(tmp_path / "bucket", segments=8, size=60_000)


@pytest.fixture
async def edge(tmp_path: Path, film: Film, redis_url: str) -> AsyncIterator[EdgeProcess]:
    # These players look at far more than they could watch.
    environ = {"USHER_REDIS_URL": redis_url, "USHER_BUCKET": str(tmp_path / "bucket"), "USHER_SHARING_RATE": "1000"}
    async with edge_process(tmp_path / "edge", environ) as running:
        yield running


async def played(players: list[Player], *, seconds: float) -> list[Fetched]:
    """All play for so long; what they got."""
    begin = [len(one.fetched) for one in players]
    turns = max(1, int(seconds / PACE_S))
    keys = [one.film.segment(turn) for turn, one in zip(range(turns), players * turns, strict=False)]

    async def play(one: Player, number: int) -> None:
        await asyncio.sleep(PACE_S * number / len(players))
        await one.play(keys, pace_s=PACE_S)

    await asyncio.gather(*(play(one, number) for number, one in enumerate(players)))
    return [got for one, since in zip(players, begin, strict=True) for got in one.fetched[since:]]


async def test_players_beside_forgers_notice_nothing(edge: EdgeProcess, film: Film) -> None:
    tokens = [edge.token(scope=film.scope, sub=f"viewer-{number}") for number in range(PLAYERS)]
    players = [Player(film, token, lambda: edge.port, source=address(n)) for n, token in enumerate(tokens)]
    assert failed(await played(players, seconds=1)) == []
    alone = await played(players, seconds=SECONDS)
    order = Order(port=edge.port, token=tokens[0], path=film.segment(0), rate=RATE, seconds=SECONDS + 1)
    with forging(order) as forgers:
        beside = await played(players, seconds=SECONDS)
        # Who comes only now is let in, too, though his token is one that the edge has never seen.
        late = Player(film, edge.token(scope=film.scope, sub="late"), lambda: edge.port, source=address(900))
        assert (await late.fetch(film.playlist)).is_right
        late.close()
        told = await outcome(forgers)
    assert failed(alone) == [] and failed(beside) == []
    assert set(told.statuses) <= {401, 429}, told
    assert told.total >= 500
    refused = {name: count for name, count in (await edge.metrics()).items() if "refused_total" in name}
    assert sum(refused.values()) == told.total, refused
    if IS_LONG:
        assert told.total >= RATE * SECONDS * 0.9, told
        before, after = (percentile((one.took_s for one in got), 0.99) for got in (alone, beside))
        assert after <= 2 * max(before, QUIET_S), f"p99 {before * 1000:.1f} ms became {after * 1000:.1f} ms"
