"""SQL of referral codes."""

from __future__ import annotations

from datetime import datetime

from gateway.control.db import Connection

CODE_OF = "select code from referral where principal = $1"
#: Somebody's code stays the one it was, and a code is nobody else's.
ADD = """
insert into referral (principal, code, created_at) values ($1, $2, $3) on conflict do nothing returning code
"""
OWNER = """
select r.principal from referral r join principal p on p.id = r.principal where r.code = $1 and p.deleted_at is null
"""


class ReferralStore:
    """Rows of referral codes, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def code_of(self, principal: str) -> str | None:
        """Somebody's code."""
        found = await self._connection.fetchval(CODE_OF, principal)
        return str(found) if found else None

    async def add(self, principal: str, code: str, at: datetime) -> bool:
        """Give somebody a code; False when the code is taken, or they have one by now."""
        return await self._connection.fetchval(ADD, principal, code, at) is not None

    async def owner(self, code: str) -> str | None:
        """Whose code this is; None for nobody's, and for those who left."""
        found = await self._connection.fetchval(OWNER, code)
        return str(found) if found else None
