"""Real parts for the edge: a bucket folder, and an edge on it and on the Valkey of all tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.edge import EdgeUnderTest, fill_bucket, running_edge


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill_bucket(tmp_path / "bucket")
    return tmp_path


@pytest.fixture
async def edge(folder: Path, redis_url: str) -> AsyncIterator[EdgeUnderTest]:
    async with running_edge(folder, redis_url) as running:
        yield running
