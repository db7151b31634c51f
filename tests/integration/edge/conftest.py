"""Real parts for the edge: a Valkey of its own, a bucket folder, and an edge on both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.support.edge import EdgeUnderTest, fill_bucket, running_edge
from tests.support.valkey import Valkey, valkey

PORT = 21000


@pytest.fixture(scope="session")
def _server() -> Iterator[Valkey]:
    with valkey(PORT) as server:
        yield server


@pytest.fixture
async def redis(_server: Valkey) -> AsyncIterator[Redis]:
    client = Redis.from_url(_server.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill_bucket(tmp_path / "bucket")
    return tmp_path


@pytest.fixture
def redis_url(_server: Valkey, redis: Redis) -> str:
    return _server.url


@pytest.fixture
async def edge(folder: Path, redis_url: str) -> AsyncIterator[EdgeUnderTest]:
    async with running_edge(folder, redis_url) as running:
        yield running
