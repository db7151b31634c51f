"""Watch time as values: segments as bits, their lengths, positions, days, and what is asked of storage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Protocol

import msgspec

from gateway.control.catalogue.model import Title, TitleCard
from shared.errors import Invalid
from shared.watch import Watched

#: A title of which more than this was seen starts from the beginning again.
SEEN = 0.95
#: What a player holds in advance, where nothing says how far it is.
BUFFER_S = 30.0
#: A position that is guessed counts as this much older than one that a player told.
GUESS_AGE = timedelta(seconds=60)
#: More segments than any title has: a bitmap beyond it is not looked at.
MOST_SEGMENTS = 1 << 16
DAYS, MOST_DAYS = 30, 366


class Timeline(msgspec.Struct, frozen=True):
    """Where the segments of a version end, in milliseconds; `sound` where there is no picture to go by."""

    version: str
    title: str
    sound: bool
    ends_ms: tuple[int, ...]

    def length_ms(self, bits: int) -> int:
        """How long the segments of these bits last together."""
        return sum(self._end(index) - self.start_ms(index) for index in indexes(bits))

    def start_ms(self, index: int) -> int:
        """Where a segment begins."""
        return self.ends_ms[index - 1] if index else 0

    def cut(self, bits: int) -> int:
        """Only the bits of segments that there are."""
        return bits & ((1 << len(self.ends_ms)) - 1)

    def guess_s(self, sent: int, had: int) -> float | None:
        """Where a player may be that was sent these segments last: before the end of the last run, less its buffer."""
        if not sent:
            return None
        last, all_of_it = sent.bit_length() - 1, sent | had
        first = last
        while first and all_of_it >> (first - 1) & 1:
            first -= 1
        return max(self.start_ms(first) / 1000, self._end(last) / 1000 - BUFFER_S)

    def _end(self, index: int) -> int:
        return self.ends_ms[index]


class Segments(msgspec.Struct, frozen=True):
    """Which segments of a version a viewer was ever sent."""

    picture: int = 0
    sound: int = 0


class Key(msgspec.Struct, frozen=True, order=True):
    """One viewer's part in one version of a title."""

    principal: str
    title: str
    version: str


class Step(msgspec.Struct, frozen=True):
    """How a viewer went on with a title: milliseconds that were new, by day, and the newest position, if any."""

    seen_at: datetime
    days: Mapping[date, int]
    position_s: float = 0.0
    position_at: datetime | None = None

    @property
    def watched_ms(self) -> int:
        """All that was new."""
        return sum(self.days.values())


class Place(msgspec.Struct, frozen=True):
    """How far a viewer is in a title."""

    title: str
    position_s: float
    watched_ms: int
    seen_at: datetime


class WatchedTitle(msgspec.Struct, frozen=True, kw_only=True):
    """A title that was begun: where to go on, how much of it was sent so far."""

    title: TitleCard
    position_s: float
    duration_s: float
    watched_s: float
    last_seen: datetime


class Watching(msgspec.Struct, frozen=True):
    """What was begun and not finished, the last seen first."""

    items: list[WatchedTitle]


class TitleRef(msgspec.Struct, frozen=True):
    """A title by name, and where it is watched."""

    id: str
    name: str
    watch_url: str


class WatchedDay(msgspec.Struct, frozen=True):
    """Seconds of a title that a viewer was sent for the first time on a day (UTC)."""

    day: date
    title: TitleRef
    watched_s: float


class WatchedDays(msgspec.Struct, frozen=True):
    """One's watch time, the newest day first."""

    items: list[WatchedDay]
    watched_s: float


class TitleDay(msgspec.Struct, frozen=True):
    """Seconds of a title that all viewers together were sent on a day (UTC)."""

    day: date
    watched_s: float


class TitleDays(msgspec.Struct, frozen=True):
    """A title's watch time, the newest day first: sums, never persons."""

    items: list[TitleDay]
    watched_s: float


class Rows(Protocol):
    """What the actions ask of storage."""

    async def viewers(self, subs: Sequence[str]) -> dict[str, str]: ...
    async def hold(self, keys: Sequence[Key]) -> dict[Key, Segments]: ...
    async def put_segments(self, segments: Mapping[Key, Segments]) -> None: ...
    async def go_on(self, steps: Mapping[tuple[str, str], Step]) -> None: ...
    async def began(self, sub: str, title: str, at: datetime) -> None: ...
    async def position_s(self, principal: str, title: str) -> float: ...
    async def unfinished(self, principal: str, *, seen: float, limit: int) -> list[Place]: ...
    async def days(self, principal: str, first: date, last: date) -> list[tuple[date, str, int]]: ...
    async def title_days(self, title: str, first: date, last: date) -> list[tuple[date, int]]: ...
    async def timeline(self, version: str) -> Timeline | None: ...
    async def put_timeline(self, found: Timeline) -> None: ...


class Stores(Protocol):
    """The part of a transaction that watch time needs."""

    @property
    def watching(self) -> Rows: ...


class FindTimeline(Protocol):
    """Finds where the segments of a version end."""

    async def find(self, title: str, version: str) -> Timeline | None: ...


class Shelves(Protocol):
    """Finds titles; catalogue provides it."""

    async def by_ids(self, ids: Sequence[str]) -> list[Title]: ...


def indexes(bits: int) -> Iterable[int]:
    """The numbers of the bits that are set, the lowest first."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


def bits_of(base: int, data: bytes) -> int:
    """A bitmap that begins at segment `base`, the least significant bit first, as one number."""
    if not 0 <= base <= MOST_SEGMENTS or len(data) > MOST_SEGMENTS // 8:
        return 0
    return int.from_bytes(data, "little") << base


def bytes_of(bits: int) -> bytes:
    """The number as it is stored: bit n is segment n, the least significant bit first."""
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def follow(
    entries: Sequence[Watched], had: Segments, *, timeline: Timeline, now: datetime
) -> tuple[Segments, Step | None]:
    """What these entries of one viewer and version add to what the viewer `had`. Entries that come twice add nothing.

    An edge's clock may be ahead: nothing is taken for later than `now`.
    """
    days: dict[date, int] = {}
    seen_at = position_at = None
    position_s = 0.0
    for entry in sorted(entries, key=lambda one: one.at):
        at = min(_moment(entry.at, now), now)
        picture, sound = (timeline.cut(bits_of(entry.base, data)) for data in (entry.bits, entry.sound_bits))
        sent, before = (sound, had.sound) if timeline.sound else (picture, had.picture)
        if new := timeline.length_ms(sent & ~before):
            days[at.date()] = days.get(at.date(), 0) + new
        seen_at = max(at, seen_at or at)
        told = 0 <= entry.position_s <= timeline.ends_ms[-1] / 1000 + 1 if timeline.ends_ms else False
        found = entry.position_s if told else timeline.guess_s(sent, before)
        when = at if told else at - GUESS_AGE
        if found is not None and (position_at is None or when >= position_at):
            position_s, position_at = found, when
        # Sound is cut near the picture's borders, so both have the same indexes; a rest of sound may be one more.
        had = Segments(had.picture | picture, had.sound | sound)
    return had, Step(seen_at, days, position_s, position_at) if seen_at else None


def add(one: Step | None, other: Step) -> Step:
    """Two versions of a title watched by one viewer, as one step."""
    if one is None:
        return other
    days = {day: one.days.get(day, 0) + other.days.get(day, 0) for day in {*one.days, *other.days}}
    newest = max((one, other), key=lambda step: step.position_at or datetime.min.replace(tzinfo=UTC))
    return Step(max(one.seen_at, other.seen_at), days, newest.position_s, newest.position_at)


def start_s(position_s: float, duration_s: float | None) -> float:
    """Where a title goes on: from the start where nearly all of it was seen."""
    return 0.0 if not duration_s or position_s > SEEN * duration_s else round(position_s, 1)


def ends_ms(lengths_s: Iterable[str]) -> tuple[int, ...]:
    """Ends of segments of these lengths (EXTINF), in whole milliseconds; what is rounded does not add up."""
    micros = [0]
    for length in lengths_s:
        micros.append(micros[-1] + round(float(length) * 1_000_000))
    return tuple((end + 500) // 1000 for _, end in pairwise(micros))


def span(first: str, last: str, today: date) -> tuple[date, date]:
    """The days of a query, both included: the last 30 unless it says otherwise. Raises Invalid."""
    try:
        end = date.fromisoformat(last) if last else today
        start = date.fromisoformat(first) if first else end - timedelta(days=DAYS - 1)
    except (ValueError, OverflowError) as error:
        raise Invalid("`from` and `to` are days such as 2026-11-21.") from error
    if not 0 <= (end - start).days < MOST_DAYS:
        raise Invalid(f"`from` is not later than `to`, and {MOST_DAYS} days at most are asked for at once.")
    return start, end


def _moment(at: float, now: datetime) -> datetime:
    try:
        return datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        return now
