"""SQL of rights to watch, and of those whom a seller serves no more."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import msgspec

from gateway.control.auth import Assignment, Principal
from gateway.control.db import Connection
from gateway.control.entitlements.model import Begun, Ended, NewRight, Standing, Taken, Viewer
from gateway.control.sellers.model import scope_of

#: All of it by one question, for a title and for what it lies in.
STANDING = """
select t.priced,
    exists (select from blocked_viewer b where b.seller = t.seller and b.principal = $2) as blocked,
    (select coalesce(jsonb_agg(jsonb_build_array(o.starts_at, o.ends_at)), '[]')
     from offer o where o.scope = any (t.scopes) and o.active and o.kind = 'free') as free,
    (select coalesce(jsonb_agg(jsonb_build_object(
        'id', e.id, 'scope', e.scope, 'kind', e.kind, 'term', e.term, 'span_s', e.span_s, 'ends_at', e.ends_at,
        'link_at', e.link_at, 'first_play_at', e.first_play_at, 'sid', e.sid)), '[]')
     from entitlement e
     where e.principal = $2 and e.scope = any (t.scopes) and e.revoked_at is null) as rights
from title_scopes t where t.id = $1
"""
#: One row a source, so a right is given once however often it is asked for; one that was revoked stands again.
GRANT = """
insert into entitlement (id, principal, scope, kind, source) values ($1, $2, $3, 'grant', $4)
on conflict (source) do update set revoked_at = null, created_at = now() where entitlement.revoked_at is not null
returning id
"""
GIVE = """
insert into entitlement (id, principal, scope, kind, source, term, span_s, ends_at, given_by)
values ($1, $2, $3, 'purchase', $4, $5, $6, $7, $8) on conflict (source) do nothing returning id
"""
GIVE_ANEW = """
insert into entitlement (id, principal, scope, kind, source, term, span_s, ends_at, given_by)
values ($1, $2, $3, 'purchase', $4, $5, $6, $7, $8)
on conflict (source) do update set
    term = excluded.term, span_s = excluded.span_s, ends_at = excluded.ends_at, created_at = now(), revoked_at = null,
    ended_at = null, link_at = null, first_play_at = null, sid = null
where entitlement.revoked_at is not null returning id
"""
REVOKE = """
update entitlement set revoked_at = $3 where principal = $1 and scope = $2 and kind = 'grant' and revoked_at is null
returning id
"""
TAKE_BACK = """
update entitlement set revoked_at = $2 where source = $1 and kind = 'purchase' and revoked_at is null
returning principal, scope, kind
"""
#: The first link says when the right begins at the latest; a view keeps its session unless that is over ($5).
LINK = """
update entitlement set
    link_at = coalesce(link_at, $2), span_s = coalesce(span_s, $3),
    sid = case when term <> 'view' then null when $5 or sid is null then $4 else sid end
where id = $1 and revoked_at is null returning coalesce(sid, '')
"""
#: Once, whatever comes later. A clock that is wrong moves it no further than the link was good.
FIRST_PLAY = """
update entitlement e set
    first_play_at = greatest(least($3, e.link_at), e.link_at - interval '15 minutes'),
    ends_at = greatest(least($3, e.link_at), e.link_at - interval '15 minutes') + e.span_s * interval '1 second'
from principal p, title_scopes t
where t.id = $1 and p.sub = $2 and e.principal = p.id and e.scope = any (t.scopes)
  and e.revoked_at is null and e.link_at is not null and e.first_play_at is null and e.term <> 'own'
returning e.principal, e.scope, e.ends_at
"""
#: Rights whose time is over, once each: begun, never begun in time, or begun by a link that no edge told of.
END_OVER = """
with ending as (
    select id from entitlement
    where ends_at <= $1 and ends_at is not null and revoked_at is null and ended_at is null
        and (link_at is null or first_play_at is not null)
    order by ends_at limit $2 for update skip locked
), linked as (
    select id from entitlement
    where link_at <= $1 and link_at is not null and first_play_at is null and revoked_at is null and ended_at is null
        and link_at + span_s * interval '1 second' <= $1
    order by link_at limit $2 for update skip locked
)
update entitlement set ended_at = $1 where id = any(array(select id from ending union select id from linked))
returning principal, scope
"""
#: Two purchases of the same thing by the same person are made one after the other.
QUEUE_UP = "select pg_advisory_xact_lock($1, hashtext($2))"
VIEWERS = """
select a.username, e.created_at from entitlement e join account a on a.principal = e.principal
where e.scope = $1 and e.kind = 'grant' and e.revoked_at is null order by e.created_at desc limit 1000
"""
PRINCIPAL = "select id, kind, sub from principal where id = $1 and deleted_at is null"
ASSIGNMENTS = "select role, scope from assignment where principal = $1"
BLOCK = """
insert into blocked_viewer (seller, principal, created_at) values ($1, $2, $3) on conflict do nothing returning seller
"""
UNBLOCK = "delete from blocked_viewer where seller = $1 and principal = $2 returning seller"
BLOCKED = """
select a.username, b.created_at from blocked_viewer b join account a on a.principal = b.principal
where b.seller = $1 order by b.created_at desc limit 1000
"""
WORKS_FOR = "select exists (select from assignment where principal = $1 and scope = any($2::text[]))"
#: First key of the advisory locks of purchases (worker/turns.py and outbox.py have the others).
LOCK = 7311


class EntitlementStore:
    """Rows of rights, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def standing(self, title: str, principal: str | None) -> Standing:
        """How somebody, or nobody, stands to a title."""
        row = await self._connection.fetchrow(STANDING, title, principal)
        return msgspec.convert(dict(row or {"priced": True}), Standing)

    async def grant(self, id: str, principal: str, scope: str) -> bool:
        """Give the right; False when it stands already."""
        source = f"grant:{scope}:{principal}"
        return await self._connection.fetchval(GRANT, id, principal, scope, source) is not None

    async def give(self, id: str, right: NewRight, *, span_s: int | None, ends_at: datetime | None) -> bool:
        """Give what was bought; False when its source gave it before."""
        values = (right.principal, right.scope, right.source, right.term, span_s, ends_at, right.given_by)
        return await self._connection.fetchval(GIVE_ANEW if right.anew else GIVE, id, *values) is not None

    async def revoke(self, principal: str, scope: str, now: datetime) -> bool:
        """Take the grant away; False when there is none."""
        return await self._connection.fetchval(REVOKE, principal, scope, now) is not None

    async def take_back(self, source: str, now: datetime) -> Taken | None:
        """Take away what a source gave; None when it is gone already."""
        row = await self._connection.fetchrow(TAKE_BACK, source, now)
        return Taken(*row) if row else None

    async def link(self, right: str, *, link_at: datetime, span_s: int, sid: str | None, fresh: bool) -> str | None:
        """A link was given by a right: the session it is for, "" for any; None when the right is gone."""
        found = await self._connection.fetchval(LINK, right, link_at, span_s, sid, fresh)
        return None if found is None else str(found)

    async def first_play(self, sub: str, title: str, at: datetime) -> list[Begun]:
        """An edge sent the first media: what was waiting for that begins to run."""
        return [Begun(*row) for row in await self._connection.fetch(FIRST_PLAY, title, sub, at)]

    async def end_over(self, now: datetime, limit: int) -> list[Ended]:
        """Rights that are over and were not told to be, so many at most of each sort."""
        return [Ended(*row) for row in await self._connection.fetch(END_OVER, now, limit)]

    async def queue_up(self, principal: str, scope: str) -> None:
        """Wait for whoever buys the same for the same person; the next waits until this transaction ends."""
        await self._connection.execute(QUEUE_UP, LOCK, f"{principal}:{scope}")

    async def viewers(self, scope: str) -> list[Viewer]:
        """Whom a seller lets in, the newest first, a thousand at most."""
        return [Viewer(*row) for row in await self._connection.fetch(VIEWERS, scope)]

    async def principal(self, id: str) -> Principal | None:
        """A principal with what it may do, to decide for somebody who does not call."""
        row = await self._connection.fetchrow(PRINCIPAL, id)
        if row is None:
            return None
        held = await self._connection.fetch(ASSIGNMENTS, id)
        return Principal(row["id"], row["kind"], row["sub"], tuple(Assignment(*one) for one in held))

    async def block(self, seller: str, principal: str, now: datetime) -> bool:
        """Serve somebody no more; False when that was so."""
        return await self._connection.fetchval(BLOCK, seller, principal, now) is not None

    async def unblock(self, seller: str, principal: str) -> bool:
        """Serve somebody again; False when that was so."""
        return await self._connection.fetchval(UNBLOCK, seller, principal) is not None

    async def blocked(self, seller: str) -> list[Viewer]:
        """Whom a seller does not serve, the newest first, a thousand at most."""
        return [Viewer(*row) for row in await self._connection.fetch(BLOCKED, seller)]

    async def works_for(self, principal: str, sellers: Collection[str]) -> bool:
        """Whether somebody is a member of one of these sellers."""
        return bool(await self._connection.fetchval(WORKS_FOR, principal, [scope_of(seller) for seller in sellers]))
