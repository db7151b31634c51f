"""SQL of sellers and their members."""

from __future__ import annotations

from collections.abc import Collection

from gateway.control.auth import OWNER, permissions_of
from gateway.control.db import Connection
from gateway.control.sellers.model import Alone, Member, Membership, Seller

ADD = """
insert into seller (id, name, handle, handle_folded) values ($1, $2, $3, lower($3))
on conflict (handle_folded) do nothing returning true
"""
BY_HANDLE = """
select id, name, handle from seller where handle_folded = lower($1)
"""
HANDLES = "select id, handle from seller where id = any($1::text[])"
MEMBERSHIPS = """
select s.id, s.name, s.handle, a.role from assignment a join seller s on s.id = substr(a.scope, length('partner:') + 1)
where a.principal = $1 and a.scope like 'partner:%' order by s.name, s.id
"""
MEMBERS = """
select c.username, a.role from assignment a join account c on c.principal = a.principal
where a.scope = 'partner:' || $1 order by a.role = $2 desc, c.username_folded
"""
ROLES_OF = """
select role from assignment where scope = 'partner:' || $1 and principal = $2
"""
#: Who is shut out, or just leaves, looks after nothing. A dispute is open until its rail says that it is lost.
ALONE_WITH = """
select s.id, s.name, s.handle,
    exists (select from title t where t.seller = s.id and t.state = 'published') as is_on_sale,
    exists (
        select from title_partner p join title t on t.id = p.title where p.seller = s.id and t.state <> 'archived'
    ) as is_partner,
    exists (
        select from purchase b
        join purchase_part x on x.purchase = b.id and x.holder = s.id and x.back > 0
        join provider_charge c on c.order_id = b.id and c.source = b.rail and c.disputed > c.lost
        where b.state = 'disputed'
    ) as is_disputed
from assignment a join seller s on s.id = substr(a.scope, length('partner:') + 1)
where a.principal = $1 and a.role = $2 and a.scope like 'partner:%'
  and not exists (
      select from assignment o join principal p on p.id = o.principal
      where o.scope = a.scope and o.role = $2 and o.principal <> $1 and p.disabled_at is null and p.deleted_at is null)
order by s.name
"""
#: Held, so that of two owners who leave at once one sees that the other went.
LOCK_OWNED = """
select s.id from assignment a join seller s on s.id = substr(a.scope, length('partner:') + 1)
where a.principal = $1 and a.role = $2 and a.scope like 'partner:%' order by s.id for update of s
"""
LOCK = """
select true from seller where id = $1 for update
"""
LOCK_ALL = """
select id from seller where id = any($1::text[]) order by id for update
"""
#: Whoever is shut out may come back.
OWNED = """
select s.id from seller s where s.id = any($1::text[]) and exists (
    select from assignment a join principal p on p.id = a.principal
    where a.scope = 'partner:' || s.id and a.role = $2 and p.deleted_at is null)
"""


class SellerStore:
    """Rows of sellers and their members, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, seller: Seller) -> bool:
        """A new seller; False when the handle is taken."""
        return bool(await self._connection.fetchval(ADD, seller.id, seller.name, seller.handle))

    async def by_handle(self, handle: str) -> Seller | None:
        """The seller with this handle, in any case of letters."""
        row = await self._connection.fetchrow(BY_HANDLE, handle)
        return Seller(row["id"], row["name"], row["handle"]) if row else None

    async def handles(self, ids: Collection[str]) -> dict[str, str]:
        """The handles of sellers, by id."""
        return {row["id"]: row["handle"] for row in await self._connection.fetch(HANDLES, list(ids))}

    async def lock(self, seller: str) -> None:
        """Nobody else changes its members until the transaction ends."""
        await self._connection.execute(LOCK, seller)

    async def owned(self, ids: Collection[str]) -> set[str]:
        """Those of these sellers that somebody owns; their owners stay until the transaction ends."""
        await self._connection.fetch(LOCK_ALL, list(ids))
        return {row["id"] for row in await self._connection.fetch(OWNED, list(ids), OWNER)}

    async def memberships(self, principal: str) -> list[Membership]:
        """The sellers a principal belongs to."""
        rows = await self._connection.fetch(MEMBERSHIPS, principal)
        return [Membership(**row, permissions=permissions_of(row["role"])) for row in rows]

    async def members(self, seller: str) -> list[Member]:
        """Who belongs to a seller, owners first."""
        return [Member(row["username"], row["role"]) for row in await self._connection.fetch(MEMBERS, seller, OWNER)]

    async def roles_of(self, seller: str, principal: str) -> list[str]:
        """The roles a principal has with a seller; one at most, as far as routes gave them."""
        return [row["role"] for row in await self._connection.fetch(ROLES_OF, seller, principal)]

    async def alone_with(self, principal: str) -> list[Alone]:
        """Sellers that nobody else owns who can log in; their members stay until the transaction ends."""
        await self._connection.fetch(LOCK_OWNED, principal, OWNER)
        return [Alone(**row) for row in await self._connection.fetch(ALONE_WITH, principal, OWNER)]
