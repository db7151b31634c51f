"""What is done with watch time: take in what edges tell, say where to go on, and add it up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from gateway.control.auth import Principal, require
from gateway.control.catalogue import actions as catalogue
from gateway.control.catalogue.model import Title, Titles, card
from gateway.control.db import Begin
from gateway.control.paging import PAGE
from gateway.control.watching.model import (
    SEEN,
    FindTimeline,
    Key,
    Rows,
    Segments,
    Shelves,
    Step,
    Stores,
    Timeline,
    TitleDay,
    TitleDays,
    TitleRef,
    WatchedDay,
    WatchedDays,
    WatchedTitle,
    Watching,
    add,
    follow,
    span,
    start_s,
)
from shared.clock import Clock
from shared.watch import Watched


async def take_in(
    entries: Sequence[Watched], *, begin: Begin[Stores], timelines: FindTimeline, clock: Clock
) -> tuple[int, int]:
    """Store what edges delivered, in one transaction; any entry may come twice, late, or in another order.

    Gives the milliseconds that were new, and how many entries were of nobody or of nothing that is known.
    """
    known = {(one.title, one.version): await timelines.find(one.title, one.version) for one in entries}
    async with begin() as unit:
        viewers = await unit.watching.viewers([one.sub for one in entries])
        groups: dict[Key, list[Watched]] = {}
        for one in entries:
            if one.sub in viewers and known[one.title, one.version] is not None:
                groups.setdefault(Key(viewers[one.sub], one.title, one.version), []).append(one)
        new_ms = await _store(groups, known, watching=unit.watching, now=clock.now()) if groups else 0
    return new_ms, len(entries) - sum(map(len, groups.values()))


async def _store(
    groups: dict[Key, list[Watched]],
    known: dict[tuple[str, str], Timeline | None],
    *,
    watching: Rows,
    now: datetime,
) -> int:
    had = await watching.hold(list(groups))
    have: dict[Key, Segments] = {}
    steps: dict[tuple[str, str], Step] = {}
    for key, entries in groups.items():
        timeline = known[key.title, key.version]
        if timeline is None:
            continue
        have[key], step = follow(entries, had[key], timeline=timeline, now=now)
        if step is not None:
            pair = key.principal, key.title
            steps[pair] = add(steps.get(pair), step)
    await watching.put_segments({key: segments for key, segments in have.items() if segments != had[key]})
    await watching.go_on(steps)
    return sum(step.watched_ms for step in steps.values())


async def begin_at(viewer: Principal | None, title: Title, *, watching: Rows) -> float:
    """Where a viewer goes on with a title."""
    if viewer is None:
        return 0.0
    return start_s(await watching.position_s(viewer.id, title.id), title.duration_s)


async def unfinished(by: Principal, *, watching: Rows, titles: Shelves, limit: int = PAGE) -> Watching:
    """What one began and did not finish, the last seen first."""
    places = await watching.unfinished(by.id, seen=SEEN, limit=limit)
    found = {title.id: title for title in await titles.by_ids([place.title for place in places])}
    return Watching(
        [
            WatchedTitle(
                title=card(found[place.title]),
                position_s=round(place.position_s, 1),
                duration_s=found[place.title].duration_s or 0.0,
                watched_s=place.watched_ms / 1000,
                last_seen=place.seen_at,
            )
            for place in places
        ]
    )


async def my_days(by: Principal, days: tuple[str, str], *, watching: Rows, titles: Shelves, today: date) -> WatchedDays:
    """One's watch time by day and title, between two days (both included)."""
    rows = await watching.days(by.id, *span(*days, today))
    found = {title.id: title for title in await titles.by_ids(sorted({title for _, title, _ in rows}))}
    items = [WatchedDay(day, reference(found[title]), ms / 1000) for day, title, ms in rows]
    return WatchedDays(items, sum(ms for _, _, ms in rows) / 1000)


async def title_days(
    ref: str, days: tuple[str, str], *, by: Principal, watching: Rows, titles: Titles, today: date
) -> TitleDays:
    """A title's watch time by day, for who sells it: sums, never persons."""
    title = await catalogue.find(ref, by=by, titles=titles)
    require(by, "title:report", title)
    rows = await watching.title_days(title.id, *span(*days, today))
    return TitleDays([TitleDay(day, ms / 1000) for day, ms in rows], sum(ms for _, ms in rows) / 1000)


async def began(sub: str, title: str, at: datetime, *, watching: Rows) -> None:
    """An edge sent the first media of a title; the earliest such moment stays."""
    await watching.began(sub, title, at.astimezone(UTC))


def reference(title: Title) -> TitleRef:
    """A title by name."""
    return TitleRef(title.id, title.name, card(title).watch_url)
