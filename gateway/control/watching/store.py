"""SQL of watch time. Rows are held and written in the order of their keys, so that two workers never meet head on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from gateway.control.db import Connection
from gateway.control.watching.model import Key, Place, Segments, Step, Timeline, bytes_of

#: Held, so that an account which is deleted meanwhile leaves nothing behind.
VIEWERS = """
select sub, id from principal where sub = any($1::text[]) and deleted_at is null order by id for share
"""
PREPARE = """
insert into watched_segments (principal, title, version)
select * from unnest($1::text[], $2::text[], $3::text[]) on conflict do nothing
"""
HOLD = """
select w.principal, w.title, w.version, w.picture, w.sound from watched_segments w
join unnest($1::text[], $2::text[], $3::text[]) as k (principal, title, version)
  on (w.principal, w.title, w.version) = (k.principal, k.title, k.version)
order by 1, 2, 3 for update of w
"""
PUT_SEGMENTS = """
update watched_segments w set picture = k.picture, sound = k.sound, updated_at = now()
from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bytea[])
     as k (principal, title, version, picture, sound)
where (w.principal, w.title, w.version) = (k.principal, k.title, k.version)
"""
ADD_DAYS = """
insert into watched_day (principal, title, day, watched_ms)
select * from unnest($1::text[], $2::text[], $3::date[], $4::bigint[])
on conflict (principal, title, day) do update set watched_ms = watched_day.watched_ms + excluded.watched_ms
"""
#: A position counts by when it was told, whatever order entries come in.
GO_ON = """
insert into watching (principal, title, position_s, position_at, watched_ms, seen_at)
select * from unnest($1::text[], $2::text[], $3::float8[], $4::timestamptz[], $5::bigint[], $6::timestamptz[])
on conflict (principal, title) do update set
    position_s = case when excluded.position_at >= coalesce(watching.position_at, excluded.position_at)
                      then excluded.position_s else watching.position_s end,
    position_at = greatest(watching.position_at, excluded.position_at),
    watched_ms = watching.watched_ms + excluded.watched_ms,
    seen_at = greatest(watching.seen_at, excluded.seen_at)
"""
BEGAN = """
insert into watching (principal, title, first_at, seen_at)
select p.id, t.id, $3, $3 from principal p, title t where p.sub = $1 and p.deleted_at is null and t.id = $2
for share of p
on conflict (principal, title) do update set
    first_at = least(watching.first_at, excluded.first_at), seen_at = greatest(watching.seen_at, excluded.seen_at)
"""
POSITION = """
select position_s from watching where principal = $1 and title = $2
"""
UNFINISHED = """
select w.title, w.position_s, w.watched_ms, w.seen_at from watching w join title t on t.id = w.title
where w.principal = $1 and w.position_s > 0 and w.position_s <= $2 * t.duration_s
  and t.state = 'published' and t.taken_down_at is null
order by w.seen_at desc limit $3
"""
DAYS = """
select day, title, watched_ms from watched_day where principal = $1 and day between $2 and $3
order by day desc, watched_ms desc limit 10000
"""
TITLE_DAYS = """
select day, sum(watched_ms)::bigint as watched_ms from (
    select day, watched_ms from watched_day where title = $1 and day between $2 and $3
    union all select day, watched_ms from watched_by_nobody where title = $1 and day between $2 and $3
) both_of_them group by day order by day desc
"""
TIMELINE = """
select version, title, sound, ends_ms from timeline where version = $1
"""
PUT_TIMELINE = """
insert into timeline (version, title, sound, ends_ms) select $1, id, $3, $4 from title where id = $2
on conflict do nothing
"""


class WatchStore:
    """Rows of watch time, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def viewers(self, subs: Sequence[str]) -> dict[str, str]:
        """sub → principal of those that are still there; they stay until the transaction ends."""
        return {row["sub"]: row["id"] for row in await self._connection.fetch(VIEWERS, sorted(set(subs)))}

    async def hold(self, keys: Sequence[Key]) -> dict[Key, Segments]:
        """What these viewers were sent so far, held until the transaction ends."""
        columns = _columns(sorted(keys))
        await self._connection.execute(PREPARE, *columns)
        return {
            Key(row["principal"], row["title"], row["version"]): Segments(
                int.from_bytes(row["picture"], "little"), int.from_bytes(row["sound"], "little")
            )
            for row in await self._connection.fetch(HOLD, *columns)
        }

    async def put_segments(self, segments: Mapping[Key, Segments]) -> None:
        """What they were sent by now; `hold` came before."""
        keys = sorted(segments)
        picture = [bytes_of(segments[key].picture) for key in keys]
        sound = [bytes_of(segments[key].sound) for key in keys]
        await self._connection.execute(PUT_SEGMENTS, *_columns(keys), picture, sound)

    async def go_on(self, steps: Mapping[tuple[str, str], Step]) -> None:
        """Add what was new, by (principal, title)."""
        pairs = sorted(steps)
        found = [steps[pair] for pair in pairs]
        days = [(*pair, day, ms) for pair in pairs for day, ms in sorted(steps[pair].days.items())]
        if days:
            await self._connection.execute(ADD_DAYS, *map(list, zip(*days, strict=True)))
        await self._connection.execute(
            GO_ON,
            [principal for principal, _ in pairs],
            [title for _, title in pairs],
            [step.position_s for step in found],
            [step.position_at for step in found],
            [step.watched_ms for step in found],
            [step.seen_at for step in found],
        )

    async def began(self, sub: str, title: str, at: datetime) -> None:
        """The first media of a title left for a viewer; told twice or late, the earliest stays."""
        await self._connection.execute(BEGAN, sub, title, at)

    async def position_s(self, principal: str, title: str) -> float:
        """How far a viewer is in a title; 0 where nothing is known."""
        return float(await self._connection.fetchval(POSITION, principal, title) or 0.0)

    async def unfinished(self, principal: str, *, seen: float, limit: int) -> list[Place]:
        """What is on the shelf, was begun, and of which no more than `seen` was reached; the last seen first."""
        return [Place(*row) for row in await self._connection.fetch(UNFINISHED, principal, seen, limit)]

    async def days(self, principal: str, first: date, last: date) -> list[tuple[date, str, int]]:
        """Milliseconds by day and title, the newest day first."""
        return [tuple(row) for row in await self._connection.fetch(DAYS, principal, first, last)]

    async def title_days(self, title: str, first: date, last: date) -> list[tuple[date, int]]:
        """Milliseconds of all viewers together by day, the newest first."""
        return [tuple(row) for row in await self._connection.fetch(TITLE_DAYS, title, first, last)]

    async def timeline(self, version: str) -> Timeline | None:
        """Where the segments of a version end, where that was asked before."""
        row = await self._connection.fetchrow(TIMELINE, version)
        return Timeline(row["version"], row["title"], row["sound"], tuple(row["ends_ms"])) if row else None

    async def put_timeline(self, found: Timeline) -> None:
        """Keep it, for a title that there is; the first one stays."""
        await self._connection.execute(PUT_TIMELINE, found.version, found.title, found.sound, list(found.ends_ms))


def _columns(keys: Sequence[Key]) -> tuple[list[str], list[str], list[str]]:
    return [key.principal for key in keys], [key.title for key in keys], [key.version for key in keys]
