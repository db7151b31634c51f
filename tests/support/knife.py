"""Transactions as control begins them, on connections that end before a chosen statement, or while they commit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg

from gateway.control.db import Database, open_pool
from gateway.control.wiring import Unit

STATEMENTS = {"execute", "executemany", "fetch", "fetchrow", "fetchval"}


class Knife:
    """What ends a connection. `other` is one of its own, which stays."""

    def __init__(self, other: asyncpg.Connection) -> None:
        self.other = other
        self._left: int | None = None

    def set(self, cut: int | None) -> None:
        """End the connection before that many statements from now on were run, or, below zero, at the n-th commit."""
        self._left = cut

    async def statement(self, connection: Any) -> None:
        """A statement is about to be run."""
        if self._left is not None and self._left >= 0:
            self._left -= 1
            if self._left < 0:
                self._left = None
                await self._end(connection)

    def commit(self, connection: Any) -> asyncio.Task[None] | None:
        """A transaction is about to be committed; the end of its connection, which may come first."""
        if self._left is None or self._left >= 0:
            return None
        self._left = self._left + 1 or None
        return asyncio.create_task(self._end(connection)) if self._left is None else None

    async def _end(self, connection: Any) -> None:
        await self.other.execute("select pg_terminate_backend($1)", connection.get_server_pid())


class Cut:
    """A connection as stores use it, under the knife."""

    def __init__(self, connection: Any, knife: Knife) -> None:
        self._connection, self._knife = connection, knife

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        return self._cut(found) if name in STATEMENTS else found

    def _cut(self, found: Callable[..., Any]) -> Callable[..., Any]:
        async def run(*values: Any, **more: Any) -> Any:
            await self._knife.statement(self._connection)
            return await found(*values, **more)

        return run


class CutDatabase:
    """Begins such transactions."""

    def __init__(self, pool: asyncpg.Pool, knife: Knife) -> None:
        self.knife = knife
        self._begin = Database(pool, lambda connection: Unit(Cut(connection, knife))).begin  # type: ignore[arg-type]

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[Unit]:
        """A transaction."""
        ending = None
        try:
            async with self._begin() as unit:
                yield unit
                ending = self.knife.commit(unit.connection)
                await asyncio.sleep(0)
        finally:
            if ending is not None:
                await ending


@contextlib.asynccontextmanager
async def cut_database(url: str) -> AsyncIterator[CutDatabase]:
    """A migrated database under a knife."""
    pool = await open_pool(url, 3)
    other = await asyncpg.connect(url)
    try:
        yield CutDatabase(pool, Knife(other))
    finally:
        await other.close()
        await pool.close()
