"""SQL of the one row of portal settings."""

from __future__ import annotations

import asyncpg
import msgspec

from gateway.control.auth import ADMIN, GLOBAL
from gateway.control.db import Connection
from gateway.control.portal.model import Settings

READ = """
select name, logo_url, accent, accent_dark, fee_bp, currency, legal_text from portal
"""
LOCK = READ + " for update"
WRITE = """
update portal set name = $1, logo_url = $2, accent = $3, accent_dark = $4, fee_bp = $5, currency = $6,
                  legal_text = $7, updated_at = now()
"""
HAS_ADMIN = """
select exists (select from assignment where scope = $1 and role = $2)
"""


class PortalStore:
    """The row of portal settings, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read(self) -> Settings:
        """The settings."""
        return _settings(await self._connection.fetchrow(READ))

    async def lock(self) -> Settings:
        """The settings, which nobody else changes until the transaction ends."""
        return _settings(await self._connection.fetchrow(LOCK))

    async def write(self, settings: Settings) -> None:
        """Replace the settings."""
        await self._connection.execute(WRITE, *msgspec.structs.astuple(settings))

    async def has_admin(self) -> bool:
        """Whether somebody is admin."""
        return bool(await self._connection.fetchval(HAS_ADMIN, GLOBAL, ADMIN))


def _settings(row: asyncpg.Record | None) -> Settings:
    if row is None:
        raise LookupError("the portal's row is missing")
    return Settings(**row)
