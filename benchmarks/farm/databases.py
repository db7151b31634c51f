"""A Postgres for the cases in which control takes part."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.support.postgres import cluster, database


@contextlib.asynccontextmanager
async def migrated() -> AsyncIterator[str]:
    """The address of an empty database of the newest form, gone with its server at the end."""
    server = cluster()
    made = await asyncio.to_thread(server.__enter__)
    try:
        async with database(made) as url:
            yield url
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)
