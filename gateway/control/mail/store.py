"""SQL of outgoing mail."""

from __future__ import annotations

from datetime import datetime

import msgspec

from gateway.control.db import Connection
from gateway.control.mail.model import LEASE, Mail

ADD = """
insert into mail (id, key, kind, principal, data, state, attempts, due_at, words, created_at, done_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (key) do nothing returning id
"""
#: Counted as a try before it is sent: one that dies on the way has tried.
LEASED = """
update mail set attempts = attempts + 1, due_at = $2 where id = any(array(
    select id from mail where due_at <= $1 order by due_at limit $3 for no key update skip locked
)) returning id, key, kind, principal, data, state, attempts, due_at, words, created_at, done_at
"""
PUT = "update mail set state = $2, due_at = $3, words = $4, done_at = $5 where id = $1"
WAITING = "select count(*) from mail where due_at is not null"
SWEEP = "delete from mail where done_at < $1"


class MailStore:
    """Rows of mail, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, mail: Mail) -> bool:
        """A new mail; False when there is one with this key."""
        return await self._connection.fetchval(ADD, *msgspec.structs.astuple(mail)) is not None

    async def lease(self, now: datetime, count: int) -> list[Mail]:
        """Mails that are due, counted as tried; nobody else takes them until the lease is over."""
        return [Mail(**row) for row in await self._connection.fetch(LEASED, now, now + LEASE, count)]

    async def put(self, mail: Mail) -> None:
        """Replace what changes by a try."""
        await self._connection.execute(PUT, mail.id, mail.state, mail.due_at, mail.words, mail.done_at)

    async def waiting(self) -> int:
        """How many mails wait."""
        return int(await self._connection.fetchval(WAITING))

    async def sweep(self, before: datetime) -> None:
        """Forget mails that were done with by then."""
        await self._connection.execute(SWEEP, before)
