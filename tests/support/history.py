"""What was delivered to whom and when, written down by edges in trouble, and whether it keeps within DESIGN 6.

All times are of the one monotonic clock of this machine. A delivery carries the moment its edge last heard from Redis
that the seat is held (`confirmed`, when that question was sent). Until that seat lapses, is taken over, ended or
forgotten, it is *valid*: valid seats never exceed the cap. What is delivered after that needs an excuse, and each
excuse has a bound.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Literal

import msgspec


class Delivery(msgspec.Struct, frozen=True, array_like=True):
    """A segment that an edge let go at `at`."""

    edge: str
    sub: str
    sid: str
    at: float
    confirmed: float


class Ended(msgspec.Struct, frozen=True, array_like=True):
    """A session that its player ended at `at`, by one of the edges."""

    edge: str
    sid: str
    at: float


class Refused(msgspec.Struct, frozen=True, array_like=True):
    """A session that was let in no further at `at`."""

    sid: str
    at: float
    code: str


class Span(msgspec.Struct, frozen=True, array_like=True):
    """A time in which an edge was cut off from Redis, stopped, or not yet there."""

    start: float
    stop: float


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings of the edges promise."""

    cap: int
    lease_s: float
    #: A session that no message reached learns of its end with its next renewal.
    renew_s: float
    #: Sessions of a cut-off edge play on this long after their last renewal.
    outage_s: float
    #: A session that was taken over, or ended on another edge, ends this soon when the message arrives.
    takeover_s: float = 1.0
    #: A Redis that forgot is noticed and told what runs this soon; and until then new sessions wait.
    notice_s: float = 2.5
    settle_s: float = 5.0
    #: Longest question to Redis, and what an edge needs to be well again after trouble.
    question_s: float = 2.0
    recovery_s: float = 4.0
    #: Scheduling of a busy machine: how inexact the moments are.
    slack_s: float = 0.3


class History(msgspec.Struct, kw_only=True):
    """All that was written down."""

    deliveries: list[Delivery] = []
    ends: list[Ended] = []
    takeovers: dict[str, float] = {}
    wipes: list[float] = []
    trouble: dict[str, list[Span]] = {}


class _Cut(msgspec.Struct, frozen=True):
    """Why a seat that was confirmed is no longer valid, and until when its session may go on."""

    why: Literal["lapsed", "taken over", "ended elsewhere", "forgotten"]
    until: float


class _Judge:
    def __init__(self, history: History, bounds: Bounds) -> None:
        self._history, self._bounds = history, bounds
        self._ends: dict[str, list[float]] = defaultdict(list)
        for end in sorted(history.ends, key=lambda one: one.at):
            self._ends[end.sid].append(end.at)
        self._ended_on = {end.at: end.edge for end in history.ends}
        self._wipes = sorted(history.wipes)

    def cuts(self, one: Delivery) -> Iterator[_Cut]:
        """All that makes the seat of a delivery invalid at its moment."""
        bounds, after_message = self._bounds, self._bounds.renew_s + self._bounds.question_s
        if one.at >= one.confirmed + bounds.lease_s:
            yield _Cut("lapsed", self._away(one, one.confirmed, one.confirmed))
        taken = self._history.takeovers.get(one.sid, one.at + 1)
        if one.confirmed < taken <= one.at:
            lost = self._was_in_trouble(one.edge, taken - 1, one.at)
            yield _Cut("taken over", self._away(one, taken, taken + (after_message if lost else bounds.takeover_s)))
        if (ended := _first_between(self._ends[one.sid], one.confirmed, one.at)) is not None:
            lost = any(self._was_in_trouble(edge, ended - 1, one.at) for edge in (one.edge, self._ended_on[ended]))
            yield _Cut(
                "ended elsewhere", self._away(one, ended, ended + (after_message if lost else bounds.takeover_s))
            )
        if (wiped := _first_between(self._wipes, one.confirmed, one.at)) is not None:
            yield _Cut("forgotten", self._away(one, wiped, wiped + bounds.notice_s))

    def _away(self, one: Delivery, since: float, until: float) -> float:
        """`until`, or the end of the time that an edge in trouble since then may play on."""
        if self._was_in_trouble(one.edge, since, one.at):
            return max(until, one.confirmed + self._bounds.outage_s)
        return until

    def _was_in_trouble(self, edge: str, start: float, stop: float) -> bool:
        spans = self._history.trouble.get(edge, [])
        return any(span.start <= stop and start <= span.stop + self._bounds.recovery_s for span in spans)

    def spans(self, valid: Iterable[Delivery]) -> Iterator[tuple[str, str, Span]]:
        """Times in which a session delivered on one edge and held its seat all the while."""
        by_session: dict[tuple[str, str, str], list[Delivery]] = defaultdict(list)
        for one in valid:
            by_session[one.sub, one.sid, one.edge].append(one)
        for (sub, sid, _), deliveries in by_session.items():
            start = deliveries[0]
            for one, after in pairwise(deliveries):
                if not self._holds(one, after.at):
                    yield sub, sid, Span(start.at, one.at)
                    start = after
            yield sub, sid, Span(start.at, deliveries[-1].at)

    def _holds(self, one: Delivery, at: float) -> bool:
        """Whether the seat that a delivery had was still held at a later moment."""
        lost = (_first_between(moments, one.confirmed, at) for moments in (self._ends[one.sid], self._wipes))
        return at < one.confirmed + self._bounds.lease_s and all(moment is None for moment in lost)

    def early(self) -> Iterator[str]:
        """New sessions of an edge that knew of a wipe and did not wait."""
        first: dict[tuple[str, str], float] = {}
        for one in self._history.deliveries:
            first.setdefault((one.edge, one.sid), one.at)
        bounds = self._bounds
        for (edge, sid), at in first.items():
            for wiped in self._wipes:
                waits = wiped + bounds.notice_s < at < wiped + bounds.settle_s
                if waits and not self._was_in_trouble(edge, wiped - 1, at):
                    yield f"{sid} began on {edge} {at - wiped:.2f} s after Redis forgot"


def violations(history: History, bounds: Bounds) -> list[str]:
    """What was delivered outside the bounds, in words; none is the proof."""
    history.deliveries.sort(key=lambda one: one.at)
    judge, found = _Judge(history, bounds), []
    valid: list[Delivery] = []
    for one in history.deliveries:
        cuts = list(judge.cuts(one))
        if not cuts:
            valid.append(one)
        found += [
            f"{one.sid} on {one.edge} at {one.at:.2f}: {cut.why}, {one.at - cut.until:.2f} s too long"
            for cut in cuts
            if one.at > cut.until + bounds.slack_s
        ]
    return [*found, *_over_cap(judge.spans(valid), bounds), *judge.early()]


def _over_cap(spans: Iterable[tuple[str, str, Span]], bounds: Bounds) -> Iterator[str]:
    """Times in which more sessions of one viewer than the cap delivered on valid seats."""
    edges: dict[str, list[tuple[float, int, str]]] = defaultdict(list)
    for sub, sid, span in spans:
        edges[sub] += [(span.start, 0, sid), (span.stop, 1, sid)]
    for sub, moments in edges.items():
        playing: Counter[str] = Counter()
        since, who = None, list[str]()
        for at, is_stop, sid in sorted(moments):
            playing[sid] += -1 if is_stop else 1
            names = sorted(name for name, count in playing.items() if count)
            if len(names) > bounds.cap:
                if since is None:
                    since, who = at, names
            elif since is not None:
                if at - since > bounds.slack_s:
                    yield f"{sub}: {', '.join(who)} played at once for {at - since:.2f} s at {since:.2f}"
                since = None


def _first_between(moments: list[float], after: float, until: float) -> float | None:
    place = bisect_right(moments, after)
    return moments[place] if place < len(moments) and moments[place] <= until else None
