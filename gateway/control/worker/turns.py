"""Turns among workers: advisory locks of Postgres, so that of several workers one does a thing."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from gateway.control.db import Connection

#: First key of the locks: what is done.
RELAY, REAP, SWEEP, PAY, RECONCILE = 7301, 7302, 7303, 7304, 7305
TAKE = "select pg_try_advisory_xact_lock($1, $2)"
HOLD = "select pg_try_advisory_lock($1, 0)"
LEAVE = "select pg_advisory_unlock($1, 0)"


async def alone(connection: Connection, what: int, name: str) -> bool:
    """Whether nobody else does this now; held until the transaction ends."""
    return bool(await connection.fetchval(TAKE, what, zlib.crc32(name.encode()) & 0x7FFFFFFF))


@asynccontextmanager
async def turn(pool: asyncpg.Pool, what: int) -> AsyncIterator[bool]:
    """Whether it is this worker's turn; held for as long as the block runs, given back when the connection dies."""
    async with pool.acquire(timeout=5) as connection:
        async with _or_ended(connection):
            mine = bool(await connection.fetchval(HOLD, what))
        try:
            yield mine
        finally:
            if mine and not connection.is_closed():
                async with _or_ended(connection):
                    await connection.execute(LEAVE, what)


@asynccontextmanager
async def _or_ended(connection: Connection) -> AsyncIterator[None]:
    """One step with a lock of the session: whoever cannot tell how it ended ends the connection, and so the lock."""
    try:
        yield
    except BaseException:
        connection.terminate()
        raise
