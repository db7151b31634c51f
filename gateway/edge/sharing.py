"""Sharing: whether one session is in many hands, from what is fetched for it and from where. Pure: ticks come in.

Honest players fetch ahead, fetch again after a seek or on another rung, change networks and speak IPv4 and IPv6 at
once. So three things count: an index that another prefix of the same family fetches again while the earlier prefix is
still active; prefixes that take turns; and media fetched again faster than anyone could watch it.
"""

from __future__ import annotations

import math
from typing import Final, Literal, Protocol

import msgspec

from gateway.edge.bitmaps import MAX_INDEX, grown, has, joined, mark
from gateway.edge.hands import Film, Hands
from gateway.edge.places import Place
from gateway.edge.reports import Past, Report, Seen, Shown
from gateway.edge.thresholds import Limits

#: Versions remembered of a session; the one unused for longest is forgotten.
FILMS: Final = 4
#: Fetches that wait for the next report.
LOGGED: Final = 1024
#: Seconds between two judgements of one session.
JUDGE_S: Final = 1.0
#: What a fetch leaves: it is the first of its index; it counts as media that was fetched again.
FIRST: Final = 1
AGAIN: Final = 2


class Media(Protocol):
    """What is fetched: a segment of a title's version."""

    @property
    def title(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def is_sound(self) -> bool: ...


class Finding(msgspec.Struct, frozen=True):
    """That a session is shared, and by what: a score of 1 is at the threshold."""

    reason: Literal["replayed", "interleaved", "hoarded"]
    score: float


class Evidence:
    """What is known of one session. Small for a session in one hand, bounded for any."""

    __slots__ = (
        "_film",
        "_films",
        "_full",
        "_hands",
        "_here",
        "_is_hard",
        "_is_soft",
        "_judged",
        "_last",
        "_limits",
        "_log",
        "trace",
    )

    def __init__(self, limits: Limits, *, binding: str) -> None:
        self._limits = limits
        self._is_hard, self._is_soft = binding == "hard", binding == "soft"
        self._film: Film | None = None
        self._films: dict[tuple[str, str], Film] = {}
        #: The only place so far, and its last fetch; None once there are several.
        self._here: Place | None = None
        self._last = -math.inf
        self._hands: Hands | None = None
        #: The ticks at which what was fetched again would be watched, by picture and sound.
        self._full = [-math.inf, -math.inf]
        self._judged = -math.inf
        #: What the last fetch left here, for `unserved`.
        self.trace = 0
        #: Own fetches since the last report; None while no other edge serves the session.
        self._log: list[tuple[float, Place, Film, int, bool]] | None = None

    @property
    def is_compared(self) -> bool:
        """Whether there is more than one hand or edge, so that time alone may change the judgement."""
        return self._hands is not None or self._log is not None

    def fetched(self, media: Media, place: Place, tick: float) -> bool:
        """Note one fetch; whether to judge now."""
        film = self._film
        if film is None or film.version != media.version or film.title != media.title:
            film = self._film = self._film_of(media.title, media.version)
        index, is_sound = media.index, media.is_sound
        if not 0 <= index < MAX_INDEX:
            self.trace = 0
            return False
        look = False
        if place is self._here:
            self._last = tick
        else:
            look = self._from(place, film, index, tick=tick)
        bits = film.sound if is_sound else film.picture
        byte, bit = index >> 3, 1 << (index & 7)
        if byte >= len(bits):
            grown(bits, byte)
        trace = 0 if bits[byte] & bit else FIRST
        if self._is_hard or not trace:
            trace |= AGAIN
            look = self._pour(tick, is_sound) or look
        bits[byte] |= bit
        self.trace = trace
        if self._log is not None and len(self._log) < LOGGED:
            self._log.append((tick, place, film, index, is_sound))
        return look

    def unserved(self, media: Media, trace: int) -> None:
        """The fetch that left `trace` brought no bytes: as if it had not been."""
        film = self._films.get((media.title, media.version))
        if trace & FIRST and film is not None:
            bits = film.sound if media.is_sound else film.picture
            bits[media.index >> 3] &= ~(1 << (media.index & 7))
        if trace & AGAIN:
            self._full[media.is_sound] -= self._limits.segment_s / self._limits.rate

    def judge(self, tick: float) -> Finding | None:
        """Whether the session is shared."""
        self._judged = tick
        limits = self._limits
        hoarded = (max(self._full) - tick) * limits.rate / limits.media_s
        if hoarded > 1:
            return Finding("hoarded", round(hoarded, 2))
        if self._hands is None:
            return None
        replayed = self._hands.replayed(tick) / limits.replays
        if replayed > 1:
            return Finding("replayed", round(replayed, 2))
        interleaving = self._hands.interleaving(tick) / limits.prefixes
        return Finding("interleaved", round(interleaving, 2)) if interleaving >= 1 else None

    def compare(self) -> None:
        """Another edge serves the session too: keep what is fetched here for the next report."""
        if self._log is None:
            self._log = []

    def stop_comparing(self) -> None:
        """No other edge serves it any more."""
        self._log = None

    def report(self, edge: str, tick: float, *, with_past: bool) -> Report | None:
        """What is new since the last report, for the other edges; None: nothing."""
        log = self._log or []
        if not log and not with_past:
            return None
        places: dict[Place, int] = {}
        films: dict[Film, int] = {}

        def number(place: Place, film: Film) -> tuple[int, int]:
            return places.setdefault(place, len(places)), films.setdefault(film, len(films))

        seen = [
            Seen(round(tick - at, 3), *number(place, film), index, is_sound) for at, place, film, index, is_sound in log
        ]
        past = [Past(*number(place, film), bytes(bits)) for place, film, bits in (self._past() if with_past else ())]
        shown = [
            Shown(film.title, film.version, bytes(film.picture), bytes(film.sound))
            if with_past
            else Shown(film.title, film.version)
            for film in films
        ]
        return Report(edge, list(places), shown, seen, past)

    def reported(self, report: Report) -> None:
        """The other edges have `report` now."""
        if self._log is not None:
            del self._log[: len(report.seen)]

    def hear(self, report: Report, tick: float) -> None:
        """Take in what another edge saw. `tick` is when it told, by this edge's clock."""
        films = [self._film_of(shown.title, shown.version) for shown in report.films[:FILMS]]
        self._film = None
        for past in report.past:
            if past.film < len(films):
                self._recall(report.places[past.place], films[past.film], past.bits)
        for seen in report.seen:
            if seen.film < len(films) and 0 <= seen.index < MAX_INDEX:
                self._hear(seen, report.places[seen.place], films[seen.film], tick=tick - seen.age_s)
        for film, shown in zip(films, report.films, strict=False):
            film.picture, film.sound = joined(film.picture, shown.picture), joined(film.sound, shown.sound)

    def _hear(self, seen: Seen, place: Place, film: Film, *, tick: float) -> None:
        self._from(place, film, seen.index, tick=tick)
        bits = film.sound if seen.is_sound else film.picture
        if has(bits, seen.index) or self._is_hard:
            self._pour(tick, seen.is_sound)
        mark(bits, seen.index)

    def _recall(self, place: Place, film: Film, bits: bytes) -> None:
        """What a place had fetched before; that alone is no sign of sharing."""
        if self._hands is None:
            if self._here is None:
                self._here = place
            if self._here.prefix == place.prefix:
                return
            self._hands = self._split(self._here)
        self._hands.recall(place, film, bits)

    def _past(self) -> list[tuple[Place, Film, bytearray]]:
        if self._hands is not None:
            return self._hands.past()
        films = self._films.values() if self._here is not None else ()
        return [(self._here, film, joined(film.picture, film.sound)) for film in films if self._here is not None]

    def _film_of(self, title: str, version: str) -> Film:
        film = self._films.pop((title, version), None) or Film(title, version)
        self._films[title, version] = film
        if len(self._films) > FILMS:
            forgotten = self._films.pop(next(iter(self._films)))
            if self._hands is not None:
                self._hands.forget(forgotten)
        return film

    def _pour(self, tick: float, is_sound: bool) -> bool:
        """Media that was fetched again flows in, and out at `rate`; whether that is too much."""
        limits = self._limits
        self._full[is_sound] = max(self._full[is_sound], tick) + limits.segment_s / limits.rate
        return self._full[is_sound] - tick > limits.media_s / limits.rate

    def _from(self, place: Place, film: Film, index: int, *, tick: float) -> bool:
        """A fetch that is not known to come from the only place; whether to judge. Before the index is marked."""
        if self._hands is None:
            here = self._here
            if here is None or here.prefix == place.prefix:
                self._here, self._last = place, max(self._last, tick)
                return False
            self._hands = self._split(here)
        self._hands.fetched(place, film, index, tick=tick)
        return tick - self._judged >= JUDGE_S

    def _split(self, here: Place) -> Hands:
        """There is a second hand: what was fetched so far was by the first."""
        hands = Hands(self._limits, is_soft=self._is_soft)
        for film in self._films.values():
            hands.recall(here, film, joined(film.picture, film.sound), last=self._last)
        self._here = None
        return hands
