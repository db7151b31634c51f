"""SQL of purchases, their parts, refunds, and partners of titles."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from gateway.control.checkout.model import PartnerShare, Purchase, Refund, RefundState, Reversal, ReversalState, Sold
from gateway.control.checkout.shares import Part, Partner
from gateway.control.db import Connection

#: What changes of a purchase once it began, in the order of PUT.
_CHANGING = (
    "state", "provider_ref", "url", "words", "seller_account", "rail_fee", "refunded", "disputed", "txn", "booked",
    "expires_at", "look_at", "paid_at", "settle_at", "settled_at",
)  # fmt: skip

ADD = """
insert into purchase (
    id, key, kind, principal, viewer, scope, title, seller, offer, offer_version, coupon, referrer, amount, currency,
    rail, state, provider_ref, url, words, return_url, legal_entity, fee_bp, seller_account, rail_fee, refunded,
    disputed, txn, booked, created_at, expires_at, look_at, paid_at, settle_at, settled_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
    $25, $26, $27, $28, $29, $30, $31, $32, $33, $34)
on conflict (key) do nothing returning id
"""
PUT = """
update purchase set state = $2, provider_ref = $3, url = $4, words = $5, seller_account = $6, rail_fee = $7,
    refunded = $8, disputed = $9, txn = $10, booked = $11, expires_at = $12, look_at = $13, paid_at = $14,
    settle_at = $15, settled_at = $16
where id = $1
"""
BY_ID = "select * from purchase where id = $1"
LOCK_ID = "select * from purchase where id = $1 for update"
BY_KEY = "select * from purchase where key = $1"
OPEN_FOR = """
select * from purchase
where viewer = $1 and scope = $2 and state in ('new', 'authorized') and scope is not null for update
"""
PARTS = "select n, kind, holder, amount, back, owed from purchase_part where purchase = $1 order by n"
PUT_PART = """
insert into purchase_part (purchase, n, kind, holder, amount, back, owed) values ($1, $2, $3, $4, $5, $6, $7)
on conflict (purchase, n) do update set amount = excluded.amount, back = excluded.back, owed = excluded.owed
"""
DROP_PARTS = "delete from purchase_part where purchase = $1"
#: In the order in which a movement holds them, so that no two wait for each other.
FUNDS = """
select code, balance - held as free from ledger_account where code = any($1::text[]) and asset = $2 and cached
order by id for no key update
"""
PARTNERS = "select seller, share_bp from title_partner where title = $1 order by seller"
PARTNER_HANDLES = """
select s.handle, p.share_bp from title_partner p join seller s on s.id = p.seller where p.title = $1 order by s.handle
"""
NO_PARTNERS = "delete from title_partner where title = $1"
ADD_PARTNERS = "insert into title_partner (title, seller, share_bp) select $1, * from unnest($2::text[], $3::integer[])"
DUE_TO_SETTLE = """
select id from purchase where settle_at <= $1 and settle_at is not null and settled_at is null
order by settle_at limit $2
"""
DUE_TO_LOOK = "select id from purchase where look_at <= $1 and look_at is not null order by look_at limit $2"
ADD_REFUND = """
insert into refund (
    id, purchase, amount, currency, reason, actor, state, txn, created_at, next_try_at, done_at, of_seller, key)
values ($1, $2, $3, $4, $5, $6, $7::text, $8, $9::timestamptz, $9, case when $7 = 'done' then $9 end, $10, $11)
on conflict (key) do nothing returning id
"""
REFUND = """
select id, purchase, amount, currency, reason, state, words, created_at, tries from refund where id = $1
"""
LOCK_REFUND = REFUND + " for update"
#: By the movement that gave it back, or as agreed of what nobody got a part of; unless a movement said since that its
#: seller owes it.
_OF_SELLER = """
select case when exists (select from txn o where o.key = r.id || ':owed') then 0 when t.kind = 'refund' then (
    select coalesce(-sum(p.amount), 0) from posting p join ledger_account a on a.id = p.account
    where p.txn = t.id and a.kind = 'external') else r.of_seller end as amount
from refund r join txn t on t.id = r.txn
"""
OF_SELLER = _OF_SELLER + "where r.id = $1"
OF_SELLER_UNMADE = _OF_SELLER + "where r.purchase = $1 and r.state <> 'done'"
#: By the postings, and with what is asked for already.
TAKEN_THERE = """
select coalesce((
        select -sum(x.amount) from purchase p join posting x on x.provider_ref = p.provider_ref
        join txn t on t.id = x.txn join ledger_account a on a.id = x.account
        where p.id = $1 and a.kind = 'external' and t.kind <> 'sale'), 0)
    - coalesce((select sum(r.amount) from reversal r where r.purchase = $1 and r.state = 'asked'), 0)
"""
ADD_REVERSAL = """
insert into reversal (id, purchase, amount, state, created_at, next_try_at) values ($1, $2, $3, 'asked', $4, $4)
"""
DUE_REVERSALS = "select id from reversal where state = 'asked' and next_try_at <= $1 order by next_try_at limit $2"
REVERSAL = """
select id, purchase, amount, tries from reversal where id = $1 and state = 'asked' for update skip locked
"""
CLOSE_REVERSAL = "update reversal set state = $2, done_at = $3 where id = $1"
RETRY_REVERSAL = "update reversal set tries = tries + 1, next_try_at = $2 where id = $1"
SOLD = """
select o.kind as term, o.hours, s.name as seller from purchase p
join offer o on o.id = p.offer join seller s on s.id = p.seller where p.id = $1
"""
LOOK_AGAIN = "update purchase set look_at = $2 where id = $1 and seller_account <> ''"
DUE_REFUNDS = "select id from refund where state = 'asked' and next_try_at <= $1 order by next_try_at limit $2"
CLOSE_REFUND = "update refund set state = $2, words = $3, done_at = $4 where id = $1 and state = 'asked'"
REOPEN_REFUND = """
update refund set state = 'asked', words = '', tries = 0, next_try_at = $2, done_at = null where id = $1
"""
RETRY_REFUND = "update refund set tries = tries + 1, next_try_at = $2 where id = $1"


class PurchaseStore:
    """Rows of purchases, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, purchase: Purchase) -> bool:
        """A new purchase; False when its key has one already."""
        return await self._connection.fetchval(ADD, *msgspec.structs.astuple(purchase)) is not None

    async def by_id(self, id: str, *, lock: bool = False) -> Purchase | None:
        """A purchase, its row held with `lock`."""
        row = await self._connection.fetchrow(LOCK_ID if lock else BY_ID, id)
        return Purchase(**row) if row else None

    async def by_key(self, key: str) -> Purchase | None:
        """The purchase that a request with this key made."""
        row = await self._connection.fetchrow(BY_KEY, key)
        return Purchase(**row) if row else None

    async def open_for(self, viewer: str, scope: str) -> Purchase | None:
        """The one that is not paid yet, its row held."""
        row = await self._connection.fetchrow(OPEN_FOR, viewer, scope)
        return Purchase(**row) if row else None

    async def put(self, purchase: Purchase) -> None:
        """Keep what changed of a purchase."""
        await self._connection.execute(PUT, purchase.id, *(getattr(purchase, name) for name in _CHANGING))

    async def parts(self, purchase: str) -> list[Part]:
        """What each got of it."""
        rows = await self._connection.fetch(PARTS, purchase)
        return [Part(n=row[0], kind=row[1], to=row[2], amount=row[3], back=row[4], owed=row[5]) for row in rows]

    async def put_parts(self, purchase: str, parts: Sequence[Part]) -> None:
        """Keep what each got, and what was taken back of that."""
        rows = [(purchase, part.n, part.kind, part.to, part.amount, part.back, part.owed) for part in parts]
        await self._connection.executemany(PUT_PART, rows)

    async def drop_parts(self, purchase: str) -> None:
        """Nobody gets anything of it."""
        await self._connection.execute(DROP_PARTS, purchase)

    async def funds(self, codes: Sequence[str], currency: str) -> dict[str, int]:
        """What may be spent of accounts, their rows held until the transaction ends."""
        return {row[0]: row[1] for row in await self._connection.fetch(FUNDS, list(codes), currency)}

    async def partners(self, title: str) -> list[Partner]:
        """Who shares in a title's sales."""
        return [Partner(*row) for row in await self._connection.fetch(PARTNERS, title)]

    async def partner_handles(self, title: str) -> list[PartnerShare]:
        """The same by handle."""
        return [PartnerShare(*row) for row in await self._connection.fetch(PARTNER_HANDLES, title)]

    async def set_partners(self, title: str, partners: Sequence[Partner]) -> None:
        """Who shares in sales from now on."""
        await self._connection.execute(NO_PARTNERS, title)
        sellers, shares = [one.seller for one in partners], [one.share_bp for one in partners]
        await self._connection.execute(ADD_PARTNERS, title, sellers, shares)

    async def due_to_settle(self, now: datetime, limit: int) -> list[str]:
        """Purchases whose earnings were pending for long enough."""
        return [row[0] for row in await self._connection.fetch(DUE_TO_SETTLE, now, limit)]

    async def due_to_look(self, now: datetime, limit: int) -> list[str]:
        """Purchases whose provider is to be asked about them."""
        return [row[0] for row in await self._connection.fetch(DUE_TO_LOOK, now, limit)]

    async def add_refund(
        self, refund: Refund, *, actor: str, txn: int | None, of_seller: int | None = None, key: str | None = None
    ) -> bool:
        """Money that is given back, without a movement where nothing was paid; False when its key has one already.

        `of_seller`: what lies of it with the seller's own account at the rail, where the movement does not say it.
        """
        values = (refund.id, refund.purchase, refund.amount, refund.currency, refund.reason, actor, refund.state)
        return await self._connection.fetchval(ADD_REFUND, *values, txn, refund.created_at, of_seller, key) is not None

    async def refund(self, id: str, *, lock: bool = False) -> Refund | None:
        """A refund, its row held with `lock`."""
        row = await self._connection.fetchrow(LOCK_REFUND if lock else REFUND, id)
        return Refund(**row) if row else None

    async def of_seller(self, refund: str) -> int | None:
        """What a rail is to take of a refund from the seller's own account; None for their part in proportion."""
        found = await self._connection.fetchval(OF_SELLER, refund)
        return None if found is None else int(found)

    async def due_refunds(self, now: datetime, limit: int) -> list[str]:
        """Refunds that a provider is to be asked for."""
        return [row[0] for row in await self._connection.fetch(DUE_REFUNDS, now, limit)]

    async def close_refund(self, id: str, state: RefundState, *, words: str, at: datetime) -> None:
        """A refund is done, or will not be."""
        await self._connection.execute(CLOSE_REFUND, id, state, words, at)

    async def reopen_refund(self, id: str, at: datetime) -> None:
        """A refund that failed waits again, from then on."""
        await self._connection.execute(REOPEN_REFUND, id, at)

    async def retry_refund(self, id: str, at: datetime) -> None:
        """Ask for it again then."""
        await self._connection.execute(RETRY_REFUND, id, at)

    async def taken_there(self, purchase: str) -> int:
        """What the books took of it from the seller's account at the rail, less what the rail is asked for already."""
        return int(await self._connection.fetchval(TAKEN_THERE, purchase))

    async def of_seller_unmade(self, purchase: str) -> int:
        """What refunds of it that the rail has not made are to take from there."""
        return sum(int(row[0] or 0) for row in await self._connection.fetch(OF_SELLER_UNMADE, purchase))

    async def add_reversal(self, reversal: Reversal, now: datetime) -> None:
        """Something that the rail is to be asked for."""
        await self._connection.execute(ADD_REVERSAL, reversal.id, reversal.purchase, reversal.amount, now)

    async def due_reversals(self, now: datetime, limit: int) -> list[str]:
        """What rails are to be asked for."""
        return [row[0] for row in await self._connection.fetch(DUE_REVERSALS, now, limit)]

    async def reversal(self, id: str) -> Reversal | None:
        """One that is asked for and that nobody else holds; its row is held from then on."""
        row = await self._connection.fetchrow(REVERSAL, id)
        return Reversal(**row) if row else None

    async def close_reversal(self, id: str, state: ReversalState, at: datetime) -> None:
        """The rail took it, or it is owed."""
        await self._connection.execute(CLOSE_REVERSAL, id, state, at)

    async def retry_reversal(self, id: str, at: datetime) -> None:
        """Ask for it again then."""
        await self._connection.execute(RETRY_REVERSAL, id, at)

    async def sold(self, purchase: str) -> Sold | None:
        """What was sold by it; None for a top-up."""
        row = await self._connection.fetchrow(SOLD, purchase)
        return Sold(**row) if row else None

    async def look_again(self, purchase: str, at: datetime) -> None:
        """Have its provider asked about it then, where it pays a seller at once."""
        await self._connection.execute(LOOK_AGAIN, purchase, at)
