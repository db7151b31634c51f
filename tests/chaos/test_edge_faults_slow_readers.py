"""Readers at 10 kB/s: what they do not take stays shared or in the bucket, never copied for each of them."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.edge_process import EdgeProcess, edge_process
from tests.support.films import Film, film_in
from tests.support.players import Player
from tests.support.slow import read_slowly, slow_link
from tests.support.theatre import address

READERS = 500 if int(os.environ.get("USHER_CHAOS_ROUNDS", "1")) > 1 else 100
RATE = 10_000
SIZE = 4_000_000
#: 64 MiB for 500 readers; a fifth of them may cost a fifth.
ALLOWED_BYTES = (64 << 20) * READERS // 500


@pytest.fixture
def film(tmp_path: Path) -> Film:
    return film_in(tmp_path / "bucket", segments=2, size=SIZE)


@pytest.fixture
async def edge(tmp_path: Path, film: Film, redis_url: str) -> AsyncIterator[EdgeProcess]:
    environ = {"USHER_REDIS_URL": redis_url, "USHER_BUCKET": str(tmp_path / "bucket")}
    async with edge_process(tmp_path / "edge", environ) as running:
        yield running


async def test_slow_readers_cost_little_memory_and_get_right_bytes(
    tmp_path: Path, edge: EdgeProcess, film: Film
) -> None:
    key = film.segment(0)
    player = Player(film, edge.token(scope=film.scope, sub="quick"), lambda: edge.port, source=address(900))
    assert (await player.fetch(key)).is_right
    idle, over = edge.usage().rss_bytes, asyncio.Event()
    links = [await slow_link(edge.port, source=address(number)) for number in range(READERS)]
    for number, link in enumerate(links):
        await link.send("GET", f"/t/{edge.token(scope=film.scope, sub=f'slow-{number}')}/{key}")
    heads = await asyncio.gather(*(link.head() for link in links))
    assert {head.status for head in heads} == {200}
    readers = [asyncio.ensure_future(read_slowly(link, bytes_per_s=RATE, until=over)) for link in links]
    peak = idle
    for _ in range(15):
        peak = max(peak, edge.usage().rss_bytes)
        # Who reads fast is served meanwhile, as if nobody else was there.
        assert (await player.fetch(key)).is_right
        await asyncio.sleep(0.1)
    over.set()
    whole = (tmp_path / "bucket" / key).read_bytes()
    for size, digest in await asyncio.gather(*readers):
        assert 0 < size < SIZE
        assert hashlib.sha256(whole[:size]).hexdigest() == digest
    player.close()
    for link in links:
        link.close()
    assert peak - idle <= ALLOWED_BYTES, f"{(peak - idle) >> 20} MiB"
