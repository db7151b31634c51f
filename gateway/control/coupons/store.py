"""SQL of coupons and of who used them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gateway.control.coupons.model import Coupon, Uses
from gateway.control.db import Connection

COLUMNS = """
select id, seller, scope, code, kind, bp, amount, currency, uses_max, per_viewer, used, starts_at, ends_at, active,
       created_at from coupon
"""
FIND = COLUMNS + "where seller = $1 and code_folded = $2"
BY_ID = COLUMNS + "where id = $1"
OF_SELLER = COLUMNS + "where seller = $1 order by created_at desc limit 1000"
ADD = """
insert into coupon (id, seller, scope, code, code_folded, kind, bp, amount, currency, uses_max, per_viewer, starts_at,
                    ends_at, created_at)
values ($1, $2, $3, $4, upper($4), $5, $6, $7, $8, $9, $10, $11, $12, $13)
on conflict (seller, code_folded) do nothing returning id
"""
RETIRE = "update coupon set active = false where seller = $1 and code_folded = $2 and active returning id"
#: Held until the transaction ends: whoever uses the coupon at the same moment waits, and counts this one.
COUNT_UP = """
update coupon set used = used + 1 where id = $1 and active and (uses_max is null or used < uses_max) returning id
"""
USED_BY = """
select count(*) as count, coalesce(array_agg(p.scope) filter (where p.scope is not null), '{}') as open
from coupon_use u
left join purchase p on p.id = u.purchase and p.viewer = $2 and p.state in ('new', 'authorized')
where u.coupon = $1 and u.principal = $2
"""
#: Asked after COUNT_UP, by a statement of its own: it sees what was committed while that waited.
USE = """
insert into coupon_use (purchase, coupon, principal, at)
select $1, $2, $3, $4 where (select count(*) from coupon_use where coupon = $2 and principal = $3) < $5
returning purchase
"""
#: Of a coupon that was good when the price was agreed on.
COUNT_AGAIN = """
update coupon set used = used + 1 where id = $1 and (uses_max is null or used < uses_max) returning per_viewer
"""
#: In one order, so that of two who exchange coupons none waits for the other crosswise.
HOLD = "select id from coupon where id = any($1::text[]) order by id for no key update"
COUNT_DOWN = "update coupon set used = used - 1 where id = $1"
RELEASE = """
with gone as (delete from coupon_use where purchase = $1 returning coupon)
update coupon c set used = used - 1 from gone where c.id = gone.coupon returning c.id
"""


class CouponStore:
    """Rows of coupons, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, coupon: Coupon) -> bool:
        """A new coupon; False when the seller has one with this code."""
        what = (coupon.id, coupon.seller, coupon.scope, coupon.code, coupon.kind, coupon.bp, coupon.amount)
        rest = (coupon.currency, coupon.uses_max, coupon.per_viewer, coupon.starts_at, coupon.ends_at)
        return await self._connection.fetchval(ADD, *what, *rest, coupon.created_at) is not None

    async def find(self, seller: str, code: str) -> Coupon | None:
        """A seller's coupon by its folded code."""
        row = await self._connection.fetchrow(FIND, seller, code)
        return Coupon(**row) if row else None

    async def of_seller(self, seller: str) -> list[Coupon]:
        """A seller's coupons, the newest first, a thousand at most."""
        return [Coupon(**row) for row in await self._connection.fetch(OF_SELLER, seller)]

    async def retire(self, seller: str, code: str) -> Coupon | None:
        """Take a coupon back; None when there is none that is active."""
        return await self._by_id(await self._connection.fetchval(RETIRE, seller, code))

    async def hold(self, coupons: Sequence[str]) -> None:
        """Hold the rows of coupons until the transaction ends."""
        await self._connection.execute(HOLD, list(coupons))

    async def count_up(self, coupon: str) -> Coupon | None:
        """One use more, counted; None when there is none left."""
        return await self._by_id(await self._connection.fetchval(COUNT_UP, coupon))

    async def use(self, coupon: Coupon, *, principal: str, purchase: str, at: datetime) -> bool:
        """Write down who used it, after `count_up`; False when they have used it as often as they may."""
        values = (purchase, coupon.id, principal, at, coupon.per_viewer)
        return await self._connection.fetchval(USE, *values) is not None

    async def use_again(self, coupon: str, *, principal: str, purchase: str, at: datetime) -> bool:
        """Count it and write it down once more, whether it is active or not; False when no use of it is left."""
        per_viewer = await self._connection.fetchval(COUNT_AGAIN, coupon)
        if per_viewer is None:
            return False
        if await self._connection.fetchval(USE, purchase, coupon, principal, at, per_viewer) is not None:
            return True
        await self._connection.execute(COUNT_DOWN, coupon)
        return False

    async def used_by(self, coupon: str, principal: str) -> Uses:
        """How often somebody used a coupon, and what for they have yet to pay."""
        row = await self._connection.fetchrow(USED_BY, coupon, principal)
        return Uses(**row) if row else Uses()

    async def release(self, purchase: str) -> bool:
        """Give back what a purchase used; False when it used none."""
        return await self._connection.fetchval(RELEASE, purchase) is not None

    async def _by_id(self, id: str | None) -> Coupon | None:
        row = await self._connection.fetchrow(BY_ID, id) if id else None
        return Coupon(**row) if row else None
