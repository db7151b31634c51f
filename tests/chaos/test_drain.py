"""Rolling restarts under load: players behind a balancer lose no segment, whichever edge is told to leave."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.edge import drain
from shared import keys
from shared.settings import EdgeSettings
from tests.support.edge import until
from tests.support.edge_process import EdgeProcess, edge_process
from tests.support.films import Film, film_in
from tests.support.players import Fetched, Player, failed
from tests.support.theatre import address

IS_LONG = int(os.environ.get("USHER_CHAOS_ROUNDS", "1")) > 1
RESTARTS, PLAYERS = (5, 80) if IS_LONG else (1, 30)
DRAIN_S, PACE_S, LOOK_S = 2, 0.15, 0.2


class Balancer:
    """Sends each new connection to an edge that said it was ready when it was last asked; leaves open ones alone."""

    def __init__(self, edges: list[EdgeProcess]) -> None:
        self._edges = edges
        self._ready = list(edges)
        self._turn = itertools.count()

    def port(self) -> int:
        """Where a new connection goes."""
        return self._ready[next(self._turn) % len(self._ready)].port

    async def watch(self) -> None:
        """Ask each edge again and again."""
        while True:
            answers = await asyncio.gather(*(one.is_ready() for one in self._edges))
            self._ready = [one for one, is_ready in zip(self._edges, answers, strict=True) if is_ready]
            await asyncio.sleep(LOOK_S)

    def knows(self, edge: EdgeProcess) -> bool:
        return edge in self._ready


@pytest.fixture
def film(tmp_path: Path) -> Film:
    return film_in(tmp_path / "bucket", segments=12, size=250_000)


@pytest.fixture
async def edges(tmp_path: Path, film: Film, redis_url: str) -> AsyncIterator[list[EdgeProcess]]:
    """Two of one key set, on one Redis and one bucket."""
    environ = {
        "USHER_REDIS_URL": redis_url,
        "USHER_BUCKET": str(tmp_path / "bucket"),
        "USHER_DRAIN_S": str(DRAIN_S),
        "USHER_STOP_S": "20",
        # These players look at far more than they could watch.
        "USHER_SHARING_RATE": "1000",
    }
    key_set = keys.new_key_set()
    async with contextlib.AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(edge_process(tmp_path / name, environ, key_set=key_set))
            for name in ("one", "two")
        ]


async def watch(player: Player, *, over: asyncio.Event) -> list[Fetched]:
    """Play round and round, at the pace of a player, until it is over."""
    for turn in itertools.count():
        if over.is_set():
            break
        await player.fetch(player.film.segment(turn))
        await asyncio.sleep(PACE_S)
    player.close()
    return player.fetched


async def test_no_segment_is_lost_in_rolling_restarts(edges: list[EdgeProcess], film: Film) -> None:
    balancer, over = Balancer(edges), asyncio.Event()
    looking = asyncio.ensure_future(balancer.watch())
    tokens = [edges[0].token(scope=film.scope, sub=f"viewer-{number}") for number in range(PLAYERS)]
    players = [Player(film, token, balancer.port, source=address(n)) for n, token in enumerate(tokens)]
    watching = [asyncio.ensure_future(watch(one, over=over)) for one in players]
    for edge in itertools.islice(itertools.cycle(edges), 2 * RESTARTS):
        settings = EdgeSettings(home=edge.folder, listen_port=edge.port, drain_s=DRAIN_S)
        await asyncio.to_thread(drain.ask, settings)
        assert not any(one.at == edge.port for one in players), "each should have gone to the other edge by now"
        assert await edge.stop() == 0
        await edge.start()

        async def back(edge: EdgeProcess = edge) -> bool:
            return balancer.knows(edge)

        await until(back)
    over.set()
    got = [one for fetched in await asyncio.gather(*watching) for one in fetched]
    looking.cancel()
    assert failed(got) == []
    assert len(got) >= 2 * RESTARTS * PLAYERS * 5
