"""SQL of payout runs, and of withdrawals as far as runs pay them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import asyncpg

from gateway.control.db import Connection
from gateway.control.payouts.model import Group, Item, Run
from gateway.control.wallet.withdrawals import Withdrawal
from shared.money import to_json

OWING = """
select w.id from withdrawal w
join ledger_account r on r.code = 'receivable:' || w.seller and r.asset = w.currency
where w.state = 'approved' and w.due_at <= $1 and r.balance < 0 order by w.due_at limit $2
"""
DUE = "select distinct rail, currency from withdrawal where state = 'approved' and due_at <= $1 order by rail, currency"
LOCK_DUE = """
select id, seller, amount, currency, rail, state, due_at, reason, rail_ref, created_at, decided_at, paid_at, run, tries
from withdrawal where state = 'approved' and due_at <= $3 and rail = $1 and currency = $2
    and not exists (
        select from ledger_account r
        where r.code = 'receivable:' || withdrawal.seller and r.asset = withdrawal.currency and r.balance < 0)
order by due_at limit $4 for update skip locked
"""
OPEN = """
insert into payout_run (id, rail, currency, by_hand, day, created_at) values ($1, $2, $3, $4, $5, $6)
on conflict (rail, currency, day) where by_hand do nothing returning id
"""
JOIN = "update withdrawal set state = 'paying', run = $1, next_try_at = $3 where id = any($2::text[])"
TO_PAY = "select id from withdrawal where next_try_at <= $1 and state = 'paying' order by next_try_at limit $2"
PUT_OFF = """
update withdrawal set next_try_at = $2, tries = tries + $3::integer, reason = $4 where id = $1 and state = 'paying'
"""
CLOSE = """
update payout_run set closed_at = $1
where closed_at is null and not exists (select from withdrawal w where w.run = payout_run.id and w.state = 'paying')
"""
_RUN = """
select r.id, r.rail, r.currency, r.by_hand, r.created_at, r.closed_at, w.count, w.amount
from payout_run r
join lateral (select count(*) as count, coalesce(sum(amount), 0) as amount from withdrawal where run = r.id) w on true
"""
NEWEST = _RUN + "order by r.created_at desc, r.id desc limit $1"
BY_ID = _RUN + "where r.id = $1"
ITEMS = """
select w.id, w.seller, s.handle, w.amount, w.currency, w.state, w.reason, w.rail_ref
from withdrawal w join seller s on s.id = w.seller where w.run = $1 order by w.created_at, w.id
"""
LATE = """
select (select count(*) from withdrawal where state = 'approved' and due_at <= $1)
    + (select count(*) from withdrawal w join payout_run r on r.id = w.run
       where r.closed_at is null and w.state = 'paying' and w.due_at <= $1)
"""


class PayoutStore:
    """Runs and what they pay, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def due(self, now: datetime) -> list[Group]:
        """Rails and currencies in which something is due."""
        return [Group(*row) for row in await self._connection.fetch(DUE, now)]

    async def owing(self, now: datetime, limit: int) -> list[str]:
        """Withdrawals that are due, and whose sellers owe something."""
        return [row[0] for row in await self._connection.fetch(OWING, now, limit)]

    async def lock_due(self, group: Group, now: datetime, *, limit: int) -> list[Withdrawal]:
        """Withdrawals that are due, which nobody else pays or decides on until the transaction ends.

        Those of sellers who owe something are none of them.
        """
        rows = await self._connection.fetch(LOCK_DUE, group.rail, group.currency, now, limit)
        return [Withdrawal(**row) for row in rows]

    async def open(self, run: Run, *, day: date) -> bool:
        """A new run; False when it is by hand and the day has one."""
        values = (run.id, run.rail, run.currency, run.by_hand, day, run.created_at)
        return await self._connection.fetchval(OPEN, *values) is not None

    async def join(self, run: str, withdrawals: Sequence[str], *, next_try_at: datetime | None) -> None:
        """They are paid by this run from now on; a provider is asked at `next_try_at`."""
        await self._connection.execute(JOIN, run, list(withdrawals), next_try_at)

    async def to_pay(self, now: datetime, limit: int) -> list[str]:
        """Withdrawals that a provider is to be asked to pay."""
        return [row[0] for row in await self._connection.fetch(TO_PAY, now, limit)]

    async def put_off(self, id: str, until: datetime, *, refused: bool, reason: str) -> None:
        """A provider is asked again then, for a `reason`; `refused`: it said so itself, so under another key."""
        await self._connection.execute(PUT_OFF, id, until, int(refused), reason)

    async def close(self, now: datetime) -> None:
        """Runs are closed of which nothing is left to pay."""
        await self._connection.execute(CLOSE, now)

    async def newest(self, limit: int) -> list[Run]:
        """Runs, the newest first."""
        return [_run(row) for row in await self._connection.fetch(NEWEST, limit)]

    async def by_id(self, id: str) -> Run | None:
        """A run."""
        row = await self._connection.fetchrow(BY_ID, id)
        return _run(row) if row else None

    async def items(self, run: str) -> list[Item]:
        """The withdrawals of a run."""
        return [Item(**row) for row in await self._connection.fetch(ITEMS, run)]

    async def late(self, before: datetime) -> int:
        """Withdrawals that were due before then and are not paid."""
        return int(await self._connection.fetchval(LATE, before))


def _run(row: asyncpg.Record) -> Run:
    facts = dict(row)
    return Run(**{**facts, "amount": to_json(facts["amount"])})
