"""SQL of offers."""

from __future__ import annotations

from datetime import datetime

from gateway.control.db import Connection
from gateway.control.offers.model import Offer
from shared.money import Money

COLUMNS = """
select o.id, o.scope, o.seller, o.kind, o.hours, o.amount, o.currency, o.version, o.starts_at, o.ends_at, o.active,
       o.created_at from offer o
"""
#: Before the offer, as whoever changes what a title is offered for holds the title first; and what is bought refers to
#: the title, which waits for a new name of that.
HOLD_TITLE = "select 1 from title where id = (select scope from offer where id = $1) for key share"
#: What is bought keeps its price until the transaction ends.
BY_ID = COLUMNS + "where o.id = $1 for share"
OF_SCOPE = COLUMNS + "where o.scope = $1 and o.active order by o.created_at, o.id"
#: Of a title, and of the season and the series it lies in: of those that may be sold now, as `check_buyer` has it.
AROUND = (
    COLUMNS
    + """
join title_scopes t on o.scope = any (t.scopes) join title s on s.id = o.scope
where t.id = $1 and o.active and s.state = 'published' and s.taken_down_at is null
  and (s.window_from is null or s.window_from <= $2) and (s.window_until is null or s.window_until > $2)
  and (s.kind in ('series', 'season') or s.edition is not null)
order by o.created_at, o.id
"""
)
HISTORY = COLUMNS + "where o.scope = $1 order by o.created_at desc, o.id limit $2"
ADD = """
insert into offer
    (id, scope, seller, kind, hours, amount, currency, version, starts_at, ends_at, active, created_at, due_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, coalesce($9::timestamptz, $10::timestamptz))
"""
REPLACE = """
update offer set amount = $2, currency = $3, version = $4, starts_at = $5, ends_at = $6, active = $7,
    due_at = case when $7 then coalesce($5::timestamptz, $6::timestamptz) end
where id = $1
"""
LAST_PRICE = """
select amount, currency from offer where scope = $1 and amount > 0 order by created_at desc, id limit 1
"""
DUE = "select scope from offer where due_at <= $1 order by due_at limit $2"
LOOKED_AT = """
update offer set due_at = case when starts_at > $2 then starts_at when ends_at > $2 then ends_at end
where scope = $1 and active and due_at <= $2
"""
ADD_VERSION = """
insert into offer_version (offer, version, amount, currency, starts_at, ends_at, active, actor, at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
IS_FIAT = "select exists (select from asset where code = $1 and kind = 'fiat')"


class OfferStore:
    """Rows of offers, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, offer: Offer, *, actor: str) -> None:
        """A new offer, and its first version."""
        values = (offer.id, offer.scope, offer.seller, offer.kind, offer.hours, offer.amount, offer.currency)
        rest = (offer.version, offer.starts_at, offer.ends_at, offer.active, offer.created_at)
        await self._connection.execute(ADD, *values, *rest)
        await self._keep(offer, actor=actor, at=offer.created_at)

    async def replace(self, offer: Offer, *, actor: str, at: datetime) -> None:
        """The next version of an offer."""
        values = (offer.id, offer.amount, offer.currency, offer.version, offer.starts_at, offer.ends_at, offer.active)
        await self._connection.execute(REPLACE, *values)
        await self._keep(offer, actor=actor, at=at)

    async def by_id(self, id: str) -> Offer | None:
        """An offer; nobody changes it, nor the name of its title, until the transaction ends."""
        await self._connection.execute(HOLD_TITLE, id)
        row = await self._connection.fetchrow(BY_ID, id)
        return Offer(**row) if row else None

    async def of_scope(self, scope: str) -> list[Offer]:
        """The active offers of one scope, the oldest first."""
        return [Offer(**row) for row in await self._connection.fetch(OF_SCOPE, scope)]

    async def around(self, title: str, now: datetime) -> list[Offer]:
        """The active offers of a title and of what it lies in, as far as that may be sold now."""
        return [Offer(**row) for row in await self._connection.fetch(AROUND, title, now)]

    async def history(self, scope: str, limit: int) -> list[Offer]:
        """All offers of a scope, the newest first."""
        return [Offer(**row) for row in await self._connection.fetch(HISTORY, scope, limit)]

    async def last_price(self, scope: str) -> Money | None:
        """What the newest offer costs, of those that cost something, though it may be over."""
        row = await self._connection.fetchrow(LAST_PRICE, scope)
        return Money(int(row["amount"]), row["currency"]) if row else None

    async def due(self, now: datetime, limit: int) -> list[str]:
        """The scopes of offers whose window began or ended since it was last looked at."""
        return [row["scope"] for row in await self._connection.fetch(DUE, now, limit)]

    async def looked_at(self, scope: str, now: datetime) -> None:
        """The windows of a scope are looked at again when the next of them begins or ends."""
        await self._connection.execute(LOOKED_AT, scope, now)

    async def is_fiat(self, currency: str) -> bool:
        """Whether the ledger books this currency."""
        return bool(await self._connection.fetchval(IS_FIAT, currency))

    async def _keep(self, offer: Offer, *, actor: str, at: datetime) -> None:
        values = (offer.id, offer.version, offer.amount, offer.currency, offer.starts_at, offer.ends_at, offer.active)
        await self._connection.execute(ADD_VERSION, *values, actor, at)
