"""SQL of screenings: which sessions were given a link, to whom, for what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gateway.control.db import Connection
from gateway.control.screenings.model import Screening

COLUMNS = """
select s.sid, s.principal, p.sub, s.title, s.device, s.ends_at from screening s join principal p on p.id = s.principal
"""
#: A session goes on to another title, and a link that is renewed lasts longer.
PUT = """
insert into screening (sid, principal, title, device, created_at, ends_at) values ($1, $2, $3, $4, $5, $6)
on conflict (sid) do update set title = excluded.title, device = excluded.device,
    ends_at = greatest(screening.ends_at, excluded.ends_at)
where screening.principal = excluded.principal
"""
BY_SID = COLUMNS + "where s.sid = $1"
OF_VIEWER = COLUMNS + "where s.principal = $1 and s.sid = any($2::text[])"
#: A scope is a title, or what titles lie in.
RUNNING = (
    COLUMNS
    + """
join title_scopes t on t.id = s.title where s.principal = $1 and s.ends_at > $3 and $2 = any (t.scopes)
"""
)
SWEEP = "delete from screening where ends_at <= $1"


class ScreeningStore:
    """Rows of screenings, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def put(self, screening: Screening, *, at: datetime) -> None:
        """A link that is given now, for a session new or not."""
        await self._connection.execute(
            PUT,
            screening.sid,
            screening.principal,
            screening.title,
            screening.device,
            at,
            screening.ends_at,
        )

    async def by_sid(self, sid: str) -> Screening | None:
        """The session of this id, if it is not over for long."""
        row = await self._connection.fetchrow(BY_SID, sid)
        return Screening(**row) if row else None

    async def running(self, principal: str, scope: str, now: datetime) -> list[Screening]:
        """Sessions of a viewer within a scope whose links are not over."""
        return [Screening(**row) for row in await self._connection.fetch(RUNNING, principal, scope, now)]

    async def of_viewer(self, principal: str, sids: Sequence[str]) -> list[Screening]:
        """Those of these sessions that are a viewer's."""
        return [Screening(**row) for row in await self._connection.fetch(OF_VIEWER, principal, list(sids))]

    async def sweep(self, at: datetime) -> None:
        """Forget sessions whose links are over."""
        await self._connection.execute(SWEEP, at)
