"""Buckets for tests: a fresh one on each back end, and what lies in one."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from shared.storage import Bucket
from shared.storage.files import FolderBucket
from shared.storage.memory import MemoryBucket
from shared.storage.s3 import S3Bucket
from tests.support import s3 as servers


async def on_server(server: servers.S3Server, *, secret_key: str = "") -> Bucket:
    """A fresh bucket on an S3 server."""
    name = f"usher-{secrets.token_hex(8)}"
    await server.make_bucket(name)
    return S3Bucket(
        name,
        endpoint=server.endpoint,
        region=server.region,
        access_key=server.access_key,
        secret_key=secret_key or server.secret_key,
    )


async def opened(request: pytest.FixtureRequest, folder: Path) -> Bucket:
    """The back end that a fixture's parameter names."""
    if request.param == "files":
        return FolderBucket(folder)
    if request.param == "memory":
        return MemoryBucket()
    return await on_server(request.getfixturevalue(request.param))


async def keys(bucket: Bucket, prefix: str = "") -> list[str]:
    return [info.key async for info in bucket.list_prefix(prefix)]


def file_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())
