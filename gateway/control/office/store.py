"""SQL of accounts, payments and refunds as those who run the platform see them, and of who is shut out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gateway.control.checkout.model import RefundState
from gateway.control.db import Connection
from gateway.control.office.model import (
    PartLine,
    PaymentLine,
    PaymentRow,
    PostingLine,
    RefundLine,
    UserLine,
    UserRow,
    Wanted,
)
from gateway.control.paging import Cursor

#: Sorts after each name.
LAST = "\U0010ffff"

USERS = """
select p.id, a.username, a.created_at, p.disabled_at is not null as disabled,
       array(select r.role from assignment r where r.principal = p.id and r.scope = 'global' order by r.role) as roles
from account a join principal p on p.id = a.principal
where a.username_folded collate "C" >= $1 and a.username_folded collate "C" < $2
  and a.username_folded collate "C" > $3
order by a.username_folded collate "C" limit $4
"""
USER = """
select p.id, a.username, a.created_at, p.disabled_at is not null as disabled,
       array(select r.role from assignment r where r.principal = p.id and r.scope = 'global' order by r.role) as roles,
       a.email, p.sub, p.disabled_at, p.disabled_reason, here.logins, here.last_seen,
       (select count(*) from purchase b where b.principal = p.id and b.paid_at is not null)::int as purchases
from account a join principal p on p.id = a.principal
cross join lateral (
    select count(*)::int as logins, max(l.last_seen) as last_seen from login l
    where l.principal = p.id and l.expires_at > $2
) here
where p.id = $1
"""
DISABLE = """
update principal set disabled_at = $2, disabled_reason = $3 where id = $1 and disabled_at is null returning true
"""
ENABLE = """
update principal set disabled_at = null, disabled_reason = '' where id = $1 and disabled_at is not null returning true
"""
_PAYMENT = """
select p.id, p.kind, p.state, p.rail, p.amount, p.currency, p.refunded, p.disputed, p.title,
       coalesce(t.name, '') as title_name, coalesce(s.handle, '') as seller, coalesce(b.username, '') as buyer,
       p.principal as buyer_id, coalesce(v.username, '') as viewer, p.created_at, p.paid_at
"""
_NAMED = """
from purchase p
left join title t on t.id = p.title
left join seller s on s.id = p.seller
left join account b on b.principal = p.principal
left join account v on v.principal = p.viewer
"""
_PAGE = """
and ($1::text is null or p.state = $1) and ($2::text is null or p.rail = $2) and ($3::text is null or p.title = $3)
and ($4::text is null or p.principal = $4)
and p.created_at >= $5 and (p.created_at, p.id) < ($6, $7) order by p.created_at desc, p.id desc limit $8
"""
#: Each begins with the index that finds the fewest. Most payments are paid, and those are found by time.
OF_BUYER = _PAYMENT + _NAMED + "where p.principal = $4" + _PAGE
OF_TITLE = _PAYMENT + _NAMED + "where p.title = $3" + _PAGE
NOT_PAID = _PAYMENT + _NAMED + "where p.state = $1 and p.state <> 'paid'" + _PAGE
NEWEST = _PAYMENT + _NAMED + "where true" + _PAGE
PAYMENT = (
    _PAYMENT
    + """
, p.offer, p.offer_version, p.coupon, p.provider_ref, p.words, p.legal_entity, p.fee_bp, p.rail_fee, p.settle_at,
p.settled_at, p.booked
"""
    + _NAMED
    + "where p.id = $1"
)
PARTS = """
select a.kind, a.holder, coalesce(s.handle, w.username, '') as name, a.amount, a.back
from purchase_part a join purchase p on p.id = a.purchase
left join seller s on s.id = a.holder
left join account w on w.principal = a.holder
where a.purchase = $1 and p.paid_at is not null order by a.n
"""
POSTINGS = """
select p.txn, t.kind, p.at, a.code as account, p.asset, p.amount
from txn t join posting p on p.txn = t.id join ledger_account a on a.id = p.account
where t.key = any($1::text[]) order by p.id
"""
_REFUND = """
select r.id, r.purchase, r.amount, r.currency, r.state, r.reason, r.words, r.tries, p.rail,
       coalesce(t.name, '') as title_name, coalesce(b.username, '') as buyer, coalesce(w.username, r.actor) as actor,
       r.created_at, r.done_at
from refund r
join purchase p on p.id = r.purchase
left join title t on t.id = p.title
left join account b on b.principal = p.principal
left join account w on w.principal = r.actor
"""
REFUNDS_OF = _REFUND + "where r.purchase = $1 order by r.created_at, r.id"
_REFUNDS_PAGE = "(r.created_at, r.id) < ($1, $2) order by r.created_at desc, r.id desc limit $3"
REFUNDS = _REFUND + "where " + _REFUNDS_PAGE
REFUNDS_DONE = _REFUND + "where r.state = 'done' and " + _REFUNDS_PAGE
REFUNDS_NOT_DONE = _REFUND + "where r.state = $4 and r.state <> 'done' and " + _REFUNDS_PAGE


class OfficeStore:
    """Rows of all features across their owners, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def users(self, prefix: str, *, after: str, limit: int) -> list[UserLine]:
        """Accounts whose folded name begins with `prefix` and comes after `after`, by name."""
        rows = await self._connection.fetch(USERS, prefix, prefix + LAST, after, limit)
        return [UserLine(**row) for row in rows]

    async def user(self, id: str, now: datetime) -> UserRow | None:
        """One account."""
        row = await self._connection.fetchrow(USER, id, now)
        return UserRow(**row) if row else None

    async def disable(self, id: str, reason: str, at: datetime) -> bool:
        """Shut somebody out; False when they were."""
        return bool(await self._connection.fetchval(DISABLE, id, at, reason))

    async def enable(self, id: str) -> bool:
        """Let somebody in again; False when they were not shut out."""
        return bool(await self._connection.fetchval(ENABLE, id))

    async def payments(self, wanted: Wanted, *, before: Cursor, limit: int) -> list[PaymentLine]:
        """Payments before a moment and, of that moment, before one of them; the newest first."""
        values = (wanted.state, wanted.rail, wanted.title, wanted.buyer, wanted.since, before.at, before.id, limit)
        return [PaymentLine(**row) for row in await self._connection.fetch(_query(wanted), *values)]

    async def payment(self, id: str) -> PaymentRow | None:
        """One payment."""
        row = await self._connection.fetchrow(PAYMENT, id)
        return PaymentRow(**row) if row else None

    async def parts(self, payment: str) -> list[PartLine]:
        """What each got of it."""
        return [PartLine(**row) for row in await self._connection.fetch(PARTS, payment)]

    async def refunds_of(self, payment: str) -> list[RefundLine]:
        """What was given back of it, the oldest first."""
        return [RefundLine(**row) for row in await self._connection.fetch(REFUNDS_OF, payment)]

    async def postings(self, keys: Sequence[str]) -> list[PostingLine]:
        """What was booked under these keys, in order."""
        return [PostingLine(**row) for row in await self._connection.fetch(POSTINGS, list(keys))]

    async def refunds(self, state: RefundState | None, *, before: Cursor, limit: int) -> list[RefundLine]:
        """Refunds in a state, or all, before a moment and, of that moment, before one of them; the newest first."""
        query = {None: REFUNDS, "done": REFUNDS_DONE}.get(state, REFUNDS_NOT_DONE)
        more = (state,) if query == REFUNDS_NOT_DONE else ()
        return [RefundLine(**row) for row in await self._connection.fetch(query, before.at, before.id, limit, *more)]


def _query(wanted: Wanted) -> str:
    if wanted.buyer is not None:
        return OF_BUYER
    if wanted.title is not None:
        return OF_TITLE
    return NEWEST if wanted.state in (None, "paid") else NOT_PAID
