"""SQL of statements: postings of one seller, and of the platform, added up by what they did."""

from __future__ import annotations

from datetime import datetime

from gateway.control.db import Connection
from gateway.control.statements.model import AccountSum, Flow, Period
from gateway.control.statements.platform import Kept, Trial, Turnover

#: All that follows is read at one moment, so that it adds up while others post.
FREEZE = "set transaction isolation level repeatable read, read only"
NOW = "select now()"
#: Movements on a seller's accounts, and those of the seller's titles that left nothing there. A wallet in a sale is the
#: payer's where it loses, else that of who brought the buyer, whose credit is of the fee; in what takes back it is the
#: other way round. `receivable` of somebody who is no seller is what such a credit left behind.
FLOWS = """
with own as materialized (select id, kind from seller_accounts($1)), moved as materialized (
    select p.txn from own join posting p on p.account = own.id and p.at >= $2 and p.at < $3
    union
    select p.txn from posting p where p.seller = $1 and p.at >= $2 and p.at < $3
), flow as (
    select coalesce(p.legal_entity, $6::text) as legal_entity, p.asset as currency, t.kind,
        coalesce(p.seller = $1, false) as is_own,
        case
            when own.kind = 'external' then 'external'
            when own.id is not null then 'own'
            when a.kind = 'platform_fee' then 'fee'
            when a.kind = 'wallet' and (p.amount > 0) = (t.kind in ('sale', 'dispute-won')) then 'fee'
            when a.kind = 'receivable' and s.id is null then 'fee'
            when a.kind in ('earnings_pending', 'earnings', 'receivable', 'external') then 'others'
            else 'paid'
        end as side,
        case when $4::boolean then (p.at at time zone 'UTC')::date end as day,
        case when $5::boolean then p.scope end as title,
        count(distinct p.txn) filter (
            where a.kind <> 'rail_fee' and (p.amount < 0) = (t.kind in ('sale', 'dispute-won'))) as txns,
        sum(p.amount) as amount
    from moved
    join txn t on t.id = moved.txn
    join posting p on p.txn = moved.txn
    join ledger_account a on a.id = p.account
    left join own on own.id = p.account
    left join seller s on a.kind = 'receivable' and s.id = split_part(a.code, ':', 2)
    group by 1, 2, 3, 4, 5, 6, 7
)
select flow.*, title.name from flow left join title on title.id = flow.title
"""
SUMS = """
with own as materialized (select id, kind from seller_accounts($1))
select coalesce(p.legal_entity, $4::text) as legal_entity, p.asset as currency, own.kind,
    coalesce(sum(p.amount) filter (where p.at < $2), 0) as opening, sum(p.amount) as closing
from own join posting p on p.account = own.id and p.at < $3
where own.kind <> 'external'
group by 1, 2, 3
"""
FIRST = """
with own as materialized (select id, kind from seller_accounts($1))
select least(
    (select min(first.at) from own cross join lateral (
        select p.at from posting p where p.account = own.id order by p.at limit 1) first),
    (select p.at from posting p where p.seller = $1 order by p.at limit 1))
"""
TURNOVER = """
select coalesce(p.legal_entity, $3::text) as legal_entity, p.asset as currency, t.kind, a.kind as account,
    p.seller is not null as is_sold, p.amount > 0 as is_gain, count(distinct p.txn) as txns, sum(p.amount) as amount
from posting p join txn t on t.id = p.txn join ledger_account a on a.id = p.account
where p.at >= $1 and p.at < $2
group by 1, 2, 3, 4, 5, 6
"""
#: All postings there are: a trial balance has no shorter way.
TRIAL = """
select coalesce(p.legal_entity, $3::text) as legal_entity, p.asset as currency, a.kind as account,
    coalesce(sum(p.amount) filter (where p.at < $1), 0) as opening,
    coalesce(sum(p.amount) filter (where p.at < $2), 0) as closing, sum(p.amount) as now
from posting p join ledger_account a on a.id = p.account
group by 1, 2, 3
"""
KEPT = """
select asset as currency, kind as account, sum(balance) as balance from ledger_account
where kind in ('earnings_pending', 'earnings', 'payout_in_transit', 'receivable') group by 1, 2
"""
#: What is added up of all there is takes its time.
TIMEOUT_S = 300.0


class StatementStore:
    """Sums of postings, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def freeze(self) -> datetime:
        """See one moment from here on, which this gives; must be the first that is asked of its transaction."""
        await self._connection.execute(FREEZE)
        now: datetime = await self._connection.fetchval(NOW)
        return now

    async def flows(self, seller: str, period: Period, *, by_day: bool = False, by_title: bool = False) -> list[Flow]:
        """What movements of a seller did in a period, by day or title where that is asked for."""
        values = (seller, period.since, period.until, by_day, by_title, period.company)
        return [Flow(**row) for row in await self._connection.fetch(FLOWS, *values, timeout=TIMEOUT_S)]

    async def sums(self, seller: str, period: Period) -> list[AccountSum]:
        """A seller's accounts before and at the end of a period, but for what rails paid at once."""
        values = (seller, period.since, period.until, period.company)
        return [AccountSum(**row) for row in await self._connection.fetch(SUMS, *values, timeout=TIMEOUT_S)]

    async def first(self, seller: str) -> datetime | None:
        """When something was posted for a seller first."""
        found: datetime | None = await self._connection.fetchval(FIRST, seller)
        return found

    async def turnover(self, period: Period) -> list[Turnover]:
        """What movements did to each kind of account in a period."""
        values = (period.since, period.until, period.company)
        return [Turnover(**row) for row in await self._connection.fetch(TURNOVER, *values, timeout=TIMEOUT_S)]

    async def trial(self, period: Period) -> list[Trial]:
        """Each kind of account before and at the end of a period, and now; reads all postings."""
        values = (period.since, period.until, period.company)
        return [Trial(**row) for row in await self._connection.fetch(TRIAL, *values, timeout=TIMEOUT_S)]

    async def kept(self) -> list[Kept]:
        """What the rows of sellers' accounts say."""
        return [Kept(**row) for row in await self._connection.fetch(KEPT, timeout=TIMEOUT_S)]
