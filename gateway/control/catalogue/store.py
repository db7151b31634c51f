"""SQL of titles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from asyncpg import UniqueViolationError

from gateway.control.catalogue.model import Title, WaitingUpload
from gateway.control.db import Connection
from gateway.control.paging import Cursor
from shared.errors import Conflict
from shared.ids import fold_short_id

COLUMNS = """
select t.id, t.seller, s.name as seller_name, s.handle as seller_handle, t.kind, t.parent, t.short_id, t.slug, t.name,
       t.description, t.state, t.price_minor, t.currency, t.window_from, t.window_until, t.published_at, t.created_at,
       t.taken_down_at, t.takedown_reason, t.takedown_notice, t.version, t.edition, t.ceilings, t.duration_s, t.width,
       t.height, t.sound_only, t.has_poster, t.has_storyboard, t.languages, t.loudness_lufs, t.posters,
       t.poster, t.making, t.binding,
       case when t.price_minor > 0 then false when t.parent is null then true else (
           select not c.priced or exists (
               select from offer o where o.scope = any (c.scopes) and o.active and o.kind = 'free'
                 and o.starts_at is null and o.ends_at is null)
           from title_scopes c where c.id = t.id) end as is_free
"""
SELECT = COLUMNS + "from title t join seller s on s.id = t.seller\n"
BY_ID = SELECT + "where t.id = $1"
#: An id never changes, so rows that refer to the title may be written meanwhile.
LOCKED = BY_ID + " for no key update of t"
BY_IDS = SELECT + "where t.id = any($1::text[])"
BY_SHORT_ID = SELECT + "where t.short_folded = $1"
SELLER = "select id from seller where id = $1 or handle_folded = lower($1)"
CURRENCY = "select currency from portal"
#: Index only, over title_short_length.
COUNT_LENGTH = "select count(*) from title where length(short_folded) = $1"
#: The highest number in use behind a slug: 0 for none, 1 for the slug itself. A slug is [a-z0-9-], so a plain regex.
SLUG_NUMBER = """
select coalesce(max(case when slug = $2 then 1 else substr(slug, length($2) + 2)::integer end), 0)
from title where seller = $1 and slug ~ ('^' || $2 || '(-[1-9][0-9]{0,7})?$')
"""
INSERT = """
insert into title (id, seller, kind, parent, short_id, short_folded, slug, name, description, price_minor, currency,
                   created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
on conflict do nothing returning id
"""
SHORT_ID_TAKEN = "select exists (select from title where short_folded = $1)"
SHELF = """
where t.state = 'published' and t.taken_down_at is null
  and (t.window_from is null or t.window_from <= $1) and (t.window_until is null or t.window_until > $1)
  and ($2::timestamptz is null or (t.published_at, t.id) < ($2, $3))
"""
SHELF_ORDER = "order by t.published_at desc, t.id desc limit $4"
TOP = SELECT + SHELF + "and t.kind <> 'season'\n" + SHELF_ORDER
CHILDREN = SELECT + SHELF + "and t.parent = $5\n" + SHELF_ORDER
#: The words come first, by their index: a planner that hopes to meet them soon on the shelf reads it all for rare ones.
FOUND = """
with t as materialized (
    select * from title where search @@ (websearch_to_tsquery('simple', $5)
                                         || (websearch_to_tsquery('simple', $6) && to_tsquery('simple', $7)))
)
"""
SEARCH = FOUND + COLUMNS + "from t join seller s on s.id = t.seller" + SHELF + SHELF_ORDER
STUDIO = (
    SELECT
    + """
where t.seller = any($1::text[]) and ($2::timestamptz is null or (t.created_at, t.id) < ($2, $3))
order by t.created_at desc, t.id desc limit $4
"""
)
_OFFICE = """
where ($4::text is null or t.state = $4) and (t.created_at, t.id) < ($1, $2)
order by t.created_at desc, t.id desc limit $3
"""
#: Each begins with the index that finds the fewest; words come first, as in SEARCH.
EVERYBODYS = SELECT + _OFFICE
IN_STATE = SELECT + _OFFICE.replace("where ", "where t.state = $4 and ", 1)
TAKEN_DOWN = SELECT + _OFFICE.replace("where ", "where t.taken_down_at is not null and ", 1)
EVERYBODYS_FOUND = (
    FOUND
    + COLUMNS
    + "from t join seller s on s.id = t.seller"
    + _OFFICE.replace("where ", "where (t.taken_down_at is not null or not $8) and ", 1)
)
WAITING_UPLOADS = """
select distinct on (title) title, id, offset_bytes, size_bytes from upload
where title = any($1::text[]) and state = 'open' order by title, created_at desc
"""
#: Whether somebody bought what a title ($1) lies in, and would not lie in any more inside of $2.
SOLD_WITH = """
select exists (
    select from title_scopes c join entitlement e on e.scope = any (c.scopes)
    where c.id = $1 and e.kind = 'purchase' and e.revoked_at is null and e.ended_at is null and e.scope <> $1
      and e.scope <> all (coalesce((select scopes from title_scopes where id = $2), '{}')))
"""
#: What `update` may set; all else is refused before it reaches SQL.
CHANGEABLE = frozenset(Title.__struct_fields__) - {
    *("id", "seller", "seller_name", "seller_handle", "kind", "created_at", "is_free")
}


class TitleStore:
    """Rows of titles, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def seller_id(self, ref: str) -> str | None:
        """The id of the seller with this id or handle."""
        found = await self._connection.fetchval(SELLER, ref)
        return str(found) if found else None

    async def default_currency(self) -> str:
        """The portal's currency."""
        return str(await self._connection.fetchval(CURRENCY))

    async def count_length(self, length: int) -> int:
        """How many short ids of this length are in use."""
        return int(await self._connection.fetchval(COUNT_LENGTH, length))

    async def slug_number(self, seller: str, slug: str) -> int:
        """The highest number in use behind `slug`; 0 when the slug is free, 1 when only itself is taken."""
        return int(await self._connection.fetchval(SLUG_NUMBER, seller, slug))

    async def insert(self, title: Title) -> Literal["done", "short_id", "slug"]:
        """Insert, or say which name is taken (waits for a transaction that is about to take it)."""
        folded = fold_short_id(title.short_id)
        values = (title.id, title.seller, title.kind, title.parent, title.short_id, folded, title.slug, title.name)
        rest = (title.description, title.price_minor, title.currency, title.created_at)
        if await self._connection.fetchval(INSERT, *values, *rest):
            return "done"
        return "short_id" if await self._connection.fetchval(SHORT_ID_TAKEN, folded) else "slug"

    async def by_id(self, id: str, *, lock: bool = False) -> Title | None:
        """A title; `lock` holds its row until the transaction ends."""
        row = await self._connection.fetchrow(LOCKED if lock else BY_ID, id)
        return Title(**row) if row else None

    async def by_ids(self, ids: Sequence[str]) -> list[Title]:
        """The titles with these ids, in any order."""
        return [Title(**row) for row in await self._connection.fetch(BY_IDS, list(ids))] if ids else []

    async def by_short_id(self, folded: str) -> Title | None:
        """The title with this short id in its folded form."""
        row = await self._connection.fetchrow(BY_SHORT_ID, folded)
        return Title(**row) if row else None

    async def is_sold_with(self, title: str, but: str | None) -> bool:
        """Whether somebody bought what a title lies in, and what it would not lie in inside of `but`."""
        return bool(await self._connection.fetchval(SOLD_WITH, title, but))

    async def update(self, id: str, fields: Mapping[str, Any]) -> None:
        """Set columns. Raises Conflict where a short id or slug is taken."""
        if unknown := fields.keys() - CHANGEABLE:
            raise ValueError(f"not a column of a title that changes: {sorted(unknown)}")
        values = dict(fields)
        if "short_id" in values:
            values["short_folded"] = fold_short_id(values["short_id"])
        columns = ", ".join(f"{name} = ${number}" for number, name in enumerate(values, 2))
        sql = f"update title set {columns}, updated_at = now() where id = $1"  # noqa: S608 - names are of CHANGEABLE
        try:
            await self._connection.execute(sql, id, *values.values())
        except UniqueViolationError as error:
            taken = "short id" if error.constraint_name == "title_short_folded_key" else "name"
            raise Conflict(
                f"This {taken} is taken; choose another.", code=f"{taken.replace(' ', '-')}-taken"
            ) from error

    async def shelf(
        self, query: tuple[str, str, str], *, parent: str | None, now: datetime, after: Cursor | None, limit: int
    ) -> list[Title]:
        """Published titles, newest first: all, those in `parent`, or those a search finds."""
        page = (now, after.at if after else None, after.id if after else None, limit)
        whole, head, last = query
        if parent is not None:
            rows = await self._connection.fetch(CHILDREN, *page, parent)
        elif whole:
            rows = await self._connection.fetch(SEARCH, *page, whole, head, f"{last}:*" if last else "")
        else:
            rows = await self._connection.fetch(TOP, *page)
        return [Title(**row) for row in rows]

    async def everybodys(self, query: tuple[str, str, str], *, state: str, before: Cursor, limit: int) -> list[Title]:
        """Titles of all sellers, newest first: all, those in a state or `taken-down`, of these or all what is found."""
        whole, head, last = query
        taken_down = state == "taken-down"
        page = (before.at, before.id, limit, None if taken_down else state or None)
        if whole:
            rows = await self._connection.fetch(
                EVERYBODYS_FOUND, *page, whole, head, f"{last}:*" if last else "", taken_down
            )
        else:
            query_of = TAKEN_DOWN if taken_down else IN_STATE if state else EVERYBODYS
            rows = await self._connection.fetch(query_of, *page)
        return [Title(**row) for row in rows]

    async def waiting_uploads(self, titles: Sequence[str]) -> dict[str, WaitingUpload]:
        """The newest upload that is still open, by title."""
        rows = await self._connection.fetch(WAITING_UPLOADS, list(titles))
        return {row["title"]: WaitingUpload(row["id"], row["offset_bytes"], row["size_bytes"]) for row in rows}

    async def of_sellers(self, sellers: Sequence[str], *, after: Cursor | None, limit: int) -> list[Title]:
        """All titles of these sellers, newest first."""
        page = (after.at if after else None, after.id if after else None, limit)
        return [Title(**row) for row in await self._connection.fetch(STUDIO, list(sellers), *page)]
