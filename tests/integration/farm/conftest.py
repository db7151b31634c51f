"""The farm under test: real tasks, a folder bucket, Valkey, ffmpeg."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support import farm as farms
from tests.support import media


@pytest.fixture(scope="session", autouse=True)
def masters() -> Iterator[None]:
    """Masters are made when first asked for and removed at the end."""
    yield
    media.remove_all()


@pytest.fixture
async def farm(tmp_path: Path, redis_url: str) -> AsyncIterator[farms.Farm]:
    """A farm on the wheel's ffmpeg."""
    async with farms.farm(tmp_path, redis_url) as made:
        yield made
