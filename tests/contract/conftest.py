"""The back ends that hold the contract of the bucket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from shared.storage import Bucket
from tests.support import s3 as servers
from tests.support.buckets import opened

#: Every back end; `moto` is a server for `s3`.
BACK_ENDS = ["files", "memory", "moto"]


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.S3Server]:
    with servers.moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="module")
def nanio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.S3Server]:
    with servers.nanio(tmp_path_factory.mktemp("nanio")) as server:
        yield server


@pytest.fixture(params=BACK_ENDS)
async def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bucket]:
    """Every back end that holds the whole contract."""
    made = await opened(request, tmp_path / "bucket")
    yield made
    await made.close()


@pytest.fixture(params=["files", "memory", "nanio"])
async def ending(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bucket]:
    """Every back end, with the S3 server that knows when a multipart upload is over: moto answers 500 to an abort."""
    made = await opened(request, tmp_path / "bucket")
    yield made
    await made.close()


@pytest.fixture(params=["moto", "nanio"])
async def ranged(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bucket]:
    """Both S3 servers, for the parts that each of them does right."""
    made = await opened(request, tmp_path / "bucket")
    yield made
    await made.close()
