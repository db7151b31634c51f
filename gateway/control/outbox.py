"""The outbox: what leaves the database is a row first, in the transaction that made it true."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.control.db import Connection
from shared import jobs
from shared.events import TYPES, Envelope, Push
from shared.ids import new_id

EVENT, TASK, PUSH = "event", "task", "push"

ADD = """
insert into outbox (id, topic, type, subject, data) values ($1, $2, $3, $4, $5)
"""
#: Rows in order; those another relay holds are skipped.
TAKE = """
select seq, id, topic, type, subject, at, v, data from outbox
where relayed_at is null and topic = $2 order by seq limit $1 for update skip locked
"""
PUSHES = """
select data from outbox where topic = 'push' and at > now() - make_interval(secs => $1) order by seq
"""
RELAYED = """
update outbox set relayed_at = now() where seq = any($1::bigint[])
"""
SWEEP = """
delete from outbox where relayed_at < now() - interval '7 days'
"""
WAITING = """
select count(*) from outbox where relayed_at is null
"""
AUDIT = """
insert into audit (actor, action, object, before, after, place) values ($1, $2, $3, $4, $5, $6)
"""

Ticket = jobs.ProbeTicket | jobs.ChunkTicket | jobs.FinaliseTicket
TASKS: dict[type[Any], str] = {
    jobs.ProbeTicket: jobs.PROBE,
    jobs.ChunkTicket: jobs.CHUNK,
    jobs.FinaliseTicket: jobs.FINALISE,
}


class Row(msgspec.Struct, frozen=True):
    """One row on its way out."""

    seq: int
    topic: str
    envelope: Envelope


class Outbox:
    """Writes rows on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def emit(self, type: str, subject: str, **data: Any) -> None:
        """Tell that something happened. `type` must be listed in shared/events.py; `data` holds ids and numbers."""
        if type not in TYPES:
            raise ValueError(f"the event type {type} is not listed in shared/events.py")
        await self._add(EVENT, type, subject, data=data)

    async def enqueue(self, ticket: Ticket, *, queue: str = jobs.CPU_QUEUE) -> None:
        """Send a ticket to the farm."""
        await self._add(
            TASK, TASKS[type(ticket)], ticket.job, data={"queue": queue, "ticket": msgspec.to_builtins(ticket)}
        )

    async def push(self, push: Push) -> None:
        """Tell all edges, within about a second."""
        await self._add(PUSH, f"push.{push.kind}", push.key, data=msgspec.to_builtins(push))

    async def audit(
        self, actor: str, action: str, object: str, *, before: Any = None, after: Any = None, place: str = ""
    ) -> None:
        """Record who changed what (append-only), and tell it as `admin.action`."""
        await self._connection.execute(AUDIT, actor, action, object, before, after, place)
        await self.emit("admin.action", object, actor=actor, action=action, object=object, before=before, after=after)

    async def take(self, count: int, *, topic: str) -> list[Row]:
        """The next rows of a topic, locked until the transaction ends; `relayed` those that left."""
        return [
            Row(
                row["seq"],
                row["topic"],
                Envelope(row["id"], row["type"], row["at"], row["subject"], row["data"], row["v"]),
            )
            for row in await self._connection.fetch(TAKE, count, topic)
        ]

    async def relayed(self, seqs: list[int]) -> None:
        """Mark rows as gone."""
        await self._connection.execute(RELAYED, seqs)

    async def pushes(self, seconds: int) -> list[dict[str, Any]]:
        """What was pushed in the last `seconds`, in order."""
        return [row["data"] for row in await self._connection.fetch(PUSHES, float(seconds))]

    async def waiting(self) -> int:
        """How many rows have not left yet."""
        return int(await self._connection.fetchval(WAITING))

    async def sweep(self) -> None:
        """Drop rows that left a week ago."""
        await self._connection.execute(SWEEP)

    async def _add(self, topic: str, type: str, subject: str, *, data: dict[str, Any]) -> None:
        await self._connection.execute(ADD, new_id("evt"), topic, type, subject, data)
