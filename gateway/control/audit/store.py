"""SQL of the audit trail as it is read; it is written by the outbox, with what it tells of."""

from __future__ import annotations

from datetime import datetime

from gateway.control.audit.model import Entry, Wanted
from gateway.control.db import Connection

_ENTRIES = """
select a.seq::text as id, a.at, a.actor, coalesce(who.username, '') as actor_name, a.action, a.object,
       coalesce(person.username, title.name, seller.handle, '') as object_name, a.before, a.after, a.place
from audit a
left join account who on who.principal = a.actor
left join account person on person.principal = a.object
left join title on title.id = a.object
left join seller on seller.id = a.object
"""
_PAGE = """
and ($1::text is null or a.actor = $1) and ($2::text is null or a.action = $2) and ($3::text is null or a.object = $3)
and a.at >= $4 and (a.at, a.seq) < ($5, $6) order by a.at desc, a.seq desc limit $7
"""
#: Each begins with the index that finds the fewest.
OF_OBJECT = _ENTRIES + "where a.object = $3" + _PAGE
OF_ACTOR = _ENTRIES + "where a.actor = $1" + _PAGE
OF_ACTION = _ENTRIES + "where a.action = $2" + _PAGE
NEWEST = _ENTRIES + "where true" + _PAGE


class AuditStore:
    """Rows of the audit trail, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def page(self, wanted: Wanted, *, before: tuple[datetime, int], limit: int) -> list[Entry]:
        """Entries before a moment and, of that moment, before an entry; the newest first."""
        values = (wanted.actor, wanted.action, wanted.object, wanted.since, *before, limit)
        return [Entry(**row) for row in await self._connection.fetch(_query(wanted), *values)]


def _query(wanted: Wanted) -> str:
    if wanted.object is not None:
        return OF_OBJECT
    if wanted.actor is not None:
        return OF_ACTOR
    return NEWEST if wanted.action is None else OF_ACTION
