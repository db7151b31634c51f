"""SQL of reconciliation: its reports, and what is booked of payments and withdrawals, which it only reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from gateway.control.db import Connection
from gateway.control.payments.providers.base import Listed
from gateway.control.reconciliation.model import Booked, Difference, Drawn, Last, Report

ASK = """
insert into recon_report (id, actor, day, since, until, state, created_at, next_try_at)
values ($1, $2, $3, $4, $5, 'asked', $6, $6) on conflict (day) do nothing returning id
"""
_REPORT = """
select id, actor, since, until, state, words, created_at, finished_at, tries, charges, purchases, postings, counts
from recon_report
"""
DUE = _REPORT + "where state = 'asked' and next_try_at <= $1 order by next_try_at limit 1"
BY_ID = _REPORT + "where id = $1"
NEWEST = _REPORT + "order by created_at desc, id desc limit $1"
DIFFERENCES = "select differences from recon_report where id = $1"
LAST = """
select coalesce(done.counts, '{}') as counts, done.finished_at, first.created_at as began_at
from (select min(created_at) as created_at from recon_report) first
left join lateral (
    select counts, finished_at from recon_report where state = 'done' order by finished_at desc limit 1
) done on true
"""
PUT_OFF = "update recon_report set tries = tries + 1, next_try_at = $2, words = $3 where id = $1 and state = 'asked'"
FINISH = """
update recon_report set state = $2, words = $3, finished_at = $4, charges = $5, purchases = $6, postings = $7,
    counts = $8, differences = $9
where id = $1 and state = 'asked'
"""
#: Purchases of a rail begun in a period, and those that the provider named.
PURCHASES = """
select id from purchase where rail = $1 and created_at >= $2 and created_at < $3
union select id from purchase where rail = $1 and id = any($4::text[])
union select id from purchase where rail = $1 and provider_ref = any($5::text[])
"""
#: By the postings alone. A sale's cash has two legs: what was paid, below zero, and the fee that the rail kept of it.
BOOKED = """
select p.id as purchase, p.provider_ref, p.amount, p.currency, coalesce(b.charged, 0) as charged,
    coalesce(b.refunded, 0) as refunded, coalesce(b.disputed, 0) as disputed, coalesce(b.fee, 0) as fee,
    b.fee_currency, coalesce(b.passed_on, 0) as passed_on, coalesce(r.asked, 0) as asked,
    coalesce(r.stuck, 0) as stuck, coalesce(v.reversing, 0) as reversing, coalesce(b.refunds, 0) as refunds,
    coalesce(b.given_back, false) as given_back
from purchase p
left join lateral (
    select -sum(x.amount) filter (
            where a.kind = 'cash' and t.kind in ('sale', 'top-up', 'returned') and x.amount < 0) as charged,
        sum(x.amount) filter (where a.kind = 'cash' and t.kind in ('refund', 'refund-done')) as refunded,
        sum(x.amount) filter (where a.kind = 'cash' and t.kind in ('dispute', 'dispute-won')) as disputed,
        -sum(x.amount) filter (where a.kind = 'rail_fee') as fee,
        max(x.asset) filter (where a.kind = 'rail_fee') as fee_currency,
        sum(x.amount) filter (where a.kind = 'external') as passed_on,
        count(distinct t.id) filter (where t.kind = 'refund') as refunds,
        bool_or(t.kind = 'returned') as given_back
    from posting x join txn t on t.id = x.txn join ledger_account a on a.id = x.account
    where x.provider_ref = p.provider_ref
        and (a.code in ('cash:' || p.rail, 'rail_fee:' || p.rail) or a.kind = 'external')
) b on true
left join lateral (
    select sum(f.amount) filter (where f.state = 'asked' and f.created_at >= $2) as asked,
        sum(f.amount) filter (where f.state = 'failed' or (f.state = 'asked' and f.created_at < $2)) as stuck
    from refund f where f.purchase = p.id
) r on true
left join lateral (
    select sum(v.amount) as reversing from reversal v
    where v.purchase = p.id and v.state = 'asked' and v.created_at >= $2
) v on true
where p.id = any($1::text[])
"""
DRAWN = """
select id, amount, currency, state = 'paid' as paid from withdrawal where rail = $1 and paid_at >= $2 and paid_at < $3
union select id, amount, currency, state = 'paid' from withdrawal where rail = $1 and id = any($4::text[])
"""
#: An offer that is free gives no right, for none is needed.
RIGHTS_MISSING = """
select p.id from purchase p join offer o on o.id = p.offer
where p.created_at >= $1 and p.created_at < $2 and p.kind = 'title' and p.state = 'paid' and o.kind <> 'free'
    and not exists (
        select from entitlement e where e.source in (p.id, p.id || ':again') and e.revoked_at is null)
order by p.id
"""
RIGHTS_LEFT = """
select p.id from purchase p
where p.created_at >= $1 and p.created_at < $2 and p.kind = 'title' and p.state in ('refunded', 'disputed')
    and exists (
        select from entitlement e where e.source in (p.id, p.id || ':again') and e.revoked_at is null)
order by p.id
"""
#: Purchases whose postings one question adds up.
AT_ONCE = 1000
#: A period may hold much.
TIMEOUT_S = 300.0


class ReconStore:
    """Reports and what they compare, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def ask(self, report: Report, *, day: str | None) -> bool:
        """A run that is to be done; False when there is one of this day."""
        one, of = report, date.fromisoformat(day) if day else None
        values = (one.id, one.actor, of, one.since, one.until, one.created_at)
        return await self._connection.fetchval(ASK, *values) is not None

    async def due(self, now: datetime) -> Report | None:
        """The run that waits longest."""
        row = await self._connection.fetchrow(DUE, now)
        return Report(**row) if row else None

    async def by_id(self, id: str) -> Report | None:
        """A run."""
        row = await self._connection.fetchrow(BY_ID, id)
        return Report(**row) if row else None

    async def differences(self, id: str) -> list[Difference]:
        """What a run found."""
        return msgspec.convert(await self._connection.fetchval(DIFFERENCES, id) or [], list[Difference])

    async def newest(self, limit: int) -> list[Report]:
        """Runs, the newest first."""
        return [Report(**row) for row in await self._connection.fetch(NEWEST, limit)]

    async def last(self) -> Last:
        """How the last one ended."""
        return Last(*(await self._connection.fetch(LAST))[0])

    async def put_off(self, id: str, until: datetime, *, words: str) -> None:
        """It could not be done now."""
        await self._connection.execute(PUT_OFF, id, until, words)

    async def finish(self, report: Report, differences: Sequence[Difference]) -> None:
        """Keep what came of a run."""
        one = report
        values = (one.state, one.words, one.finished_at, one.charges, one.purchases, one.postings, one.counts)
        await self._connection.execute(FINISH, one.id, *values, msgspec.to_builtins(list(differences)))

    async def purchases(self, rail: str, span: tuple[datetime, datetime], /, listed: Sequence[Listed]) -> list[str]:
        """Which purchases are to be compared with what a provider listed of a period."""
        orders = [one.charge.order for one in listed if one.charge.order]
        refs = [one.charge.provider_ref for one in listed]
        found = await self._connection.fetch(PURCHASES, rail, *span, orders, refs, timeout=TIMEOUT_S)
        return [row[0] for row in found]

    async def booked(self, purchases: Sequence[str], *, asked_since: datetime) -> list[Booked]:
        """What is booked of them; refunds and reversals asked for before `asked_since` should be done."""
        found = []
        for start in range(0, len(purchases), AT_ONCE):
            ids = list(purchases[start : start + AT_ONCE])
            found += await self._connection.fetch(BOOKED, ids, asked_since, timeout=TIMEOUT_S)
        return [Booked(**row) for row in found]

    async def drawn(self, rail: str, span: tuple[datetime, datetime], /, ids: Sequence[str]) -> list[Drawn]:
        """Withdrawals that were paid in a period, and those that the provider named."""
        return [Drawn(**row) for row in await self._connection.fetch(DRAWN, rail, *span, list(ids))]

    async def rights_missing(self, since: datetime, until: datetime) -> list[str]:
        """Purchases of a period that are paid and give no right."""
        return [row[0] for row in await self._connection.fetch(RIGHTS_MISSING, since, until, timeout=TIMEOUT_S)]

    async def rights_left(self, since: datetime, until: datetime) -> list[str]:
        """Purchases of a period that were taken back and give a right still."""
        return [row[0] for row in await self._connection.fetch(RIGHTS_LEFT, since, until, timeout=TIMEOUT_S)]
