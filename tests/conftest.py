"""Real parts for tests: Postgres, Valkey, a bucket folder, and control on them; each starts when first asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis.asyncio import Redis

from infra.stack.postgres import Cluster
from shared.clock import ManualClock
from shared.settings import ControlSettings
from tests.support.control import Control, control_settings, running_control
from tests.support.ports import free_base
from tests.support.postgres import cluster, database
from tests.support.valkey import Valkey, valkey


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Cluster]:
    """One Postgres for all tests."""
    with cluster() as made:
        yield made


@pytest.fixture
async def database_url(postgres_cluster: Cluster) -> AsyncIterator[str]:
    """A migrated database for this test alone."""
    async with database(postgres_cluster) as url:
        yield url


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Valkey]:
    """One Valkey for all tests."""
    with valkey(free_base(1)) as server:
        yield server


@pytest.fixture
async def redis(valkey_server: Valkey) -> AsyncIterator[Redis]:
    """A client on the Valkey, which is empty when the test starts."""
    client = Redis.from_url(valkey_server.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def redis_url(valkey_server: Valkey, redis: Redis) -> str:
    """The address of the empty Valkey."""
    return valkey_server.url


@pytest.fixture
def clock() -> ManualClock:
    """A clock that starts now and is moved by hand."""
    return ManualClock(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def settings(tmp_path: Path, database_url: str, redis_url: str) -> ControlSettings:
    """Settings of control, with all state in the test's own folder."""
    return control_settings(tmp_path, database_url=database_url, redis_url=redis_url)


@pytest.fixture
async def control(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Control]:
    """The control plane, started."""
    async with running_control(settings, clock) as running:
        yield running
