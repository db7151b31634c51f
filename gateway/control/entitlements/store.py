"""SQL of rights to watch."""

from __future__ import annotations

from datetime import datetime

from gateway.control.auth import Assignment, Principal
from gateway.control.db import Connection
from gateway.control.entitlements.model import Right, Viewer

RIGHTS = """
select kind, ends_at from entitlement
where principal = $1 and scope = $2 and revoked_at is null and (ends_at is null or ends_at > $3)
"""
#: One row a source, so a right is given once however often it is asked for; one that was revoked stands again.
GRANT = """
insert into entitlement (id, principal, scope, kind, source) values ($1, $2, $3, 'grant', $4)
on conflict (source) do update set revoked_at = null, created_at = now() where entitlement.revoked_at is not null
returning id
"""
REVOKE = """
update entitlement set revoked_at = $3 where principal = $1 and scope = $2 and kind = 'grant' and revoked_at is null
returning id
"""
VIEWERS = """
select a.username, e.created_at from entitlement e join account a on a.principal = e.principal
where e.scope = $1 and e.kind = 'grant' and e.revoked_at is null order by e.created_at desc limit 1000
"""
PRINCIPAL = "select id, kind, sub from principal where id = $1 and deleted_at is null"
ASSIGNMENTS = "select role, scope from assignment where principal = $1"


class EntitlementStore:
    """Rows of rights, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def rights(self, principal: str, scope: str, now: datetime) -> list[Right]:
        """What `principal` holds on `scope` now."""
        return [Right(*row) for row in await self._connection.fetch(RIGHTS, principal, scope, now)]

    async def grant(self, id: str, principal: str, scope: str) -> bool:
        """Give the right; False when it stands already."""
        source = f"grant:{scope}:{principal}"
        return await self._connection.fetchval(GRANT, id, principal, scope, source) is not None

    async def revoke(self, principal: str, scope: str, now: datetime) -> bool:
        """Take the grant away; False when there is none."""
        return await self._connection.fetchval(REVOKE, principal, scope, now) is not None

    async def viewers(self, scope: str) -> list[Viewer]:
        """Whom a seller lets in, the newest first, a thousand at most."""
        return [Viewer(*row) for row in await self._connection.fetch(VIEWERS, scope)]

    async def principal(self, id: str) -> Principal | None:
        """A principal with what it may do, to decide for somebody who does not call."""
        row = await self._connection.fetchrow(PRINCIPAL, id)
        if row is None:
            return None
        held = await self._connection.fetch(ASSIGNMENTS, id)
        return Principal(row["id"], row["kind"], row["sub"], tuple(Assignment(*one) for one in held))
