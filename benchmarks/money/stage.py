"""What the cases of the money bench share: a Postgres that keeps what it confirmed, the disk under it, and words."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from gateway.control.db import Begin, Database, open_pool
from gateway.control.wiring import Unit
from infra.stack.postgres import Cluster
from tests.support.postgres import cluster, database

ROUNDS, SECONDS = 5, 10
#: Postgres as `usher run` starts it: fsync on, commits wait for the disk.
SAFE: tuple[str, ...] = ()
_SYNCS, _BLOCK = 200, 8192


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the bench. `quick`: everything once and short, to see that it works."""

    server: Cluster
    rounds: int = ROUNDS
    seconds: float = SECONDS
    quick: bool = False
    said: list[str] = []

    def say(self, words: str) -> None:
        """Tell what is going on."""
        print(words, file=sys.stderr, flush=True)

    def tell(self, words: str) -> None:
        """Say something that belongs on the page, too."""
        self.say(words)
        self.said.append(words)


class Books(msgspec.Struct, frozen=True):
    """An empty ledger of a case, and its address."""

    url: str
    begin: Begin[Unit]


@contextlib.asynccontextmanager
async def started() -> AsyncIterator[Cluster]:
    """A Postgres of the run's own, gone at the end."""
    server = cluster(settings=SAFE)
    made = await asyncio.to_thread(server.__enter__)
    try:
        yield made
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


@contextlib.asynccontextmanager
async def books(server: Cluster, connections: int) -> AsyncIterator[Books]:
    """A migrated database of a case's own, on so many connections."""
    async with database(server) as url:
        pool = await open_pool(url, connections)
        try:
            yield Books(url, Database(pool, Unit).begin)
        finally:
            await pool.close()


def sync_ms() -> float:
    """How long the disk takes to keep one block, where Postgres lies too: the median of many."""
    taken = []
    with tempfile.TemporaryDirectory(prefix="usher-bench-money-") as folder:
        handle = os.open(Path(folder) / "block", os.O_CREAT | os.O_WRONLY)
        try:
            for _ in range(_SYNCS):
                begun = time.perf_counter()
                os.pwrite(handle, os.urandom(_BLOCK), 0)
                os.fdatasync(handle)
                taken.append(time.perf_counter() - begun)
        finally:
            os.close(handle)
    return 1000 * sorted(taken)[len(taken) // 2]
