"""One writer an upload: session advisory locks of Postgres, all of a process' on one connection of their own.

A PATCH may last for hours; a connection of the pool for each would starve the rest, and a lock in a transaction would
end with the first commit. When the process dies its connection does, and Postgres gives the locks back at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg

from shared.errors import Locked, Unavailable

TRY = "select pg_try_advisory_lock($1)"
LEAVE = "select pg_advisory_unlock($1)"
_LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
)


class PostgresLocks:
    """Locks held by this process; `close` gives all back."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: asyncpg.Connection | None = None
        self._turn = asyncio.Lock()
        self._held: set[int] = set()

    @asynccontextmanager
    async def hold(self, id: str) -> AsyncIterator[None]:
        """The lock on an upload. Raises Locked, or Unavailable without Postgres. fails="closed"."""
        key = _key(id)
        if key in self._held:  # a session may take its own lock again, so this process asks itself first
            raise Locked("Another request is writing this upload now; try again in a moment.")
        self._held.add(key)
        try:
            connection = await self._take(key)
            try:
                yield
            finally:
                await self._leave(connection, key)
        finally:
            self._held.discard(key)

    async def close(self) -> None:
        """Give the connection back, and with it every lock."""
        if self._connection is not None:
            await self._connection.close()

    async def _take(self, key: int) -> asyncpg.Connection:
        try:
            async with self._turn:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await asyncpg.connect(self._url, timeout=5, command_timeout=15)
                if not await self._connection.fetchval(TRY, key):
                    raise Locked("Another request is writing this upload now; try again in a moment.")
                return self._connection
        except _LOST as error:
            raise Unavailable("The database did not answer; try again in a moment.") from error

    async def _leave(self, connection: asyncpg.Connection, key: int) -> None:
        with suppress(*_LOST):  # a connection that is gone holds no lock
            async with self._turn:
                await connection.fetchval(LEAVE, key)


def _key(id: str) -> int:
    """64 of an id's 128 random bits, as Postgres numbers its locks."""
    return int.from_bytes(bytes.fromhex(id[-16:]), signed=True)
