"""SQL of payments at the sandbox."""

from __future__ import annotations

from datetime import datetime

import msgspec

from gateway.control.db import Connection
from gateway.control.sandbox.model import Notice, Payment, Refund

ADD = """
insert into sandbox_payment (
    ref, order_id, hash, amount, currency, description, return_url, hold, state, words, refunded, disputed, due, due_at,
    created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
on conflict (order_id) do nothing returning ref
"""
READ = """
select ref, order_id, hash, amount, currency, description, return_url, hold, state, words, refunded, disputed, due,
    due_at, created_at
from sandbox_payment where
"""
OF_ORDER = READ + "order_id = $1"
FIND = READ + "ref = $1"
LOCK = FIND + " for update"
WRITE = """
update sandbox_payment set state = $2, words = $3, refunded = $4, disputed = $5, due = $6, due_at = $7 where ref = $1
"""
#: What changes is told, so what was told in a period changed in it.
LISTED = """
select ref, order_id, hash, amount, currency, description, return_url, hold, state, words, refunded, disputed, due,
    due_at, created_at
from sandbox_payment where ref > $3 and ref in (
    select ref from sandbox_payment where created_at >= $1 and created_at < $2
    union select ref from sandbox_notice where at >= $1 and at < $2)
order by ref limit $4
"""
LOCK_DUE = READ + "due_at <= $1 order by due_at limit $2 for update skip locked"
ADD_REFUND = """
insert into sandbox_refund (key, ref, amount) values ($1, $2, $3) on conflict (key) do nothing returning key
"""
REFUND_NAMED = "select key, ref, amount from sandbox_refund where key = $1"
TELL = "insert into sandbox_notice (id, ref, at) values ($1, $2, $3)"
LOCK_UNTOLD = """
select id, ref, at from sandbox_notice where told_at is null order by at limit $1 for update skip locked
"""
TOLD = "update sandbox_notice set told_at = $2 where id = any($1::text[])"
SWEEP = "delete from sandbox_notice where told_at < $1"


class SandboxStore:
    """Payments at the sandbox, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, payment: Payment) -> bool:
        """Whether it is the first of its order."""
        return await self._connection.fetchval(ADD, *msgspec.structs.astuple(payment)) is not None

    async def of_order(self, order: str) -> Payment | None:
        """The payment of an order."""
        return await self._one(OF_ORDER, order)

    async def lock(self, ref: str) -> Payment | None:
        """A payment that nobody else changes until the transaction ends."""
        return await self._one(LOCK, ref)

    async def find(self, ref: str) -> Payment | None:
        """A payment."""
        return await self._one(FIND, ref)

    async def write(self, payment: Payment) -> None:
        """Replace what changes."""
        values = (payment.state, payment.words, payment.refunded, payment.disputed, payment.due, payment.due_at)
        await self._connection.execute(WRITE, payment.ref, *values)

    async def listed(self, since: datetime, until: datetime, *, after: str, limit: int) -> list[Payment]:
        """Payments begun or changed in a period, by their refs from one on."""
        return [Payment(**row) for row in await self._connection.fetch(LISTED, since, until, after, limit)]

    async def lock_due(self, now: datetime, limit: int) -> list[Payment]:
        """Payments to which something happens by itself."""
        return [Payment(**row) for row in await self._connection.fetch(LOCK_DUE, now, limit)]

    async def add_refund(self, refund: Refund) -> bool:
        """Whether it is the first with its key."""
        return await self._connection.fetchval(ADD_REFUND, *msgspec.structs.astuple(refund)) is not None

    async def refund_named(self, key: str) -> Refund | None:
        """A refund by its key."""
        row = await self._connection.fetchrow(REFUND_NAMED, key)
        return Refund(**row) if row else None

    async def tell(self, notice: Notice) -> None:
        """Let a webhook be sent."""
        await self._connection.execute(TELL, *msgspec.structs.astuple(notice))

    async def lock_untold(self, limit: int) -> list[Notice]:
        """Webhooks that were not sent, which nobody else sends."""
        return [Notice(**row) for row in await self._connection.fetch(LOCK_UNTOLD, limit)]

    async def told(self, ids: list[str], now: datetime) -> None:
        """Webhooks that were taken in."""
        await self._connection.execute(TOLD, ids, now)

    async def sweep(self, before: datetime) -> None:
        """Forget webhooks that were taken in by then."""
        await self._connection.execute(SWEEP, before)

    async def _one(self, query: str, name: str) -> Payment | None:
        row = await self._connection.fetchrow(query, name)
        return Payment(**row) if row else None
