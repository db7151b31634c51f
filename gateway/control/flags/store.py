"""SQL of flags."""

from __future__ import annotations

import asyncpg

from gateway.control.db import Connection
from gateway.control.flags.model import Flag
from shared.flags import State

ALL = """
select name, enabled, percent, meaning from flag order by name
"""
LOCK = """
select name, enabled, percent, meaning from flag where name = $1 for update
"""
WRITE = """
update flag set enabled = $2, percent = $3, updated_at = now() where name = $1
"""


class FlagStore:
    """Rows of flags, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self) -> list[Flag]:
        """Every flag, by name."""
        return [_flag(row) for row in await self._connection.fetch(ALL)]

    async def lock(self, name: str) -> Flag | None:
        """A flag, which nobody else changes until the transaction ends."""
        row = await self._connection.fetchrow(LOCK, name)
        return _flag(row) if row else None

    async def write(self, name: str, state: State) -> None:
        """Switch a flag."""
        await self._connection.execute(WRITE, name, state.enabled, state.percent)


def _flag(row: asyncpg.Record) -> Flag:
    return Flag(row["name"], row["enabled"], row["percent"], row["meaning"])
