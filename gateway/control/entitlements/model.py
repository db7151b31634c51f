"""The right to watch: one rule over plain facts, which right it is, when that ends, and what it needs from storage."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

import msgspec

from gateway.control.auth import Principal, can
from gateway.control.catalogue.model import Title

Reason = Literal[
    "taken-down",
    "not-ready",
    "outside-window",
    "blocked",
    "free",
    "owner",
    "admin",
    "grant",
    "purchase",
    "rent",
    "view",
    "right-ended",
    "no-right",
]
#: A right lasts (own), runs from the first play (rent), or is for one session alone (view).
Term = Literal["own", "rent", "view"]
#: What is rented, or bought for one view, must be begun within so many days.
START_DAYS = 30
#: One view is over after twice the title's length and this: pauses are part of watching.
VIEW_SLACK_S = 3600


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that the rule looks at. `on_show`: published and within its window. `ended`: a right to it is over."""

    taken_down: bool = False
    ready: bool = False
    on_show: bool = False
    blocked: bool = False
    free: bool = False
    owner: bool = False
    admin: bool = False
    grant: bool = False
    purchase: bool = False
    rent: bool = False
    view: bool = False
    ended: bool = False


class Decision(msgspec.Struct, frozen=True):
    """Whether one may watch, and the first line of the rule that said so."""

    allow: bool
    reason: Reason


class Right(msgspec.Struct, frozen=True, kw_only=True):
    """A right that was not taken back. `span_s`: how long it runs from the first play, where it does not last.

    Before the first play `ends_at` is when it may not be begun any more. `link_at`: when the first link to it must have
    been started, which counts as the first play where no edge tells of one. `sid`: the one session of a view.
    """

    id: str
    scope: str
    kind: Literal["grant", "purchase"]
    term: Term = "own"
    span_s: int | None = None
    ends_at: datetime | None = None
    link_at: datetime | None = None
    first_play_at: datetime | None = None
    sid: str | None = None

    @property
    def began(self) -> bool:
        """Whether it runs, or a link to it was given that makes it run."""
        return self.term == "own" or self.first_play_at is not None or self.link_at is not None

    @property
    def over_at(self) -> datetime | None:
        """When it is over as things stand; None for what lasts."""
        if self.term != "own" and self.first_play_at is None and self.link_at is not None:
            return self.link_at + timedelta(seconds=self.span_s or 0)
        return self.ends_at

    def stands(self, now: datetime) -> bool:
        """Whether it is not over."""
        return self.over_at is None or now < self.over_at


class Span(msgspec.Struct, frozen=True, array_like=True):
    """A time in which something is free; open where an end is None."""

    starts_at: datetime | None = None
    ends_at: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether `now` lies in it."""
        return (self.starts_at is None or self.starts_at <= now) and (self.ends_at is None or now < self.ends_at)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How somebody stands to a title, whatever the hour: what is asked of storage, and kept for a while.

    `priced`: it, or what it lies in, has a price. `free`: when it is free all the same.
    """

    priced: bool
    blocked: bool = False
    free: list[Span] = []
    rights: list[Right] = []


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """The decision, when what allows it ends (None: nothing ends it), and the right that is used, if it takes one."""

    decision: Decision
    until: datetime | None = None
    right: Right | None = None


class NewRight(msgspec.Struct, frozen=True, kw_only=True):
    """A right to be given once, by `source` (the purchase). `given_by`: whoever paid, where that is somebody else.

    `anew`: one that its source gave before, and that was taken back, is given again.
    """

    principal: str
    scope: str
    source: str
    term: Term
    hours: int | None = None
    given_by: str | None = None
    anew: bool = False


class Viewer(msgspec.Struct, frozen=True):
    """Somebody whom a seller lets in, or does not."""

    username: str
    since: datetime


class Viewers(msgspec.Struct, frozen=True):
    """A list of people, the newest first."""

    items: list[Viewer]


class Begun(msgspec.Struct, frozen=True):
    """A right whose time began to run."""

    principal: str
    scope: str
    ends_at: datetime


class Taken(msgspec.Struct, frozen=True):
    """A right that was taken back."""

    principal: str
    scope: str
    kind: str


class Ended(msgspec.Struct, frozen=True):
    """A right whose time is over."""

    principal: str
    scope: str


class Entitlements(Protocol):
    """What the actions ask of storage."""

    async def standing(self, title: str, principal: str | None) -> Standing: ...
    async def grant(self, id: str, principal: str, scope: str) -> bool: ...
    async def give(self, id: str, right: NewRight, *, span_s: int | None, ends_at: datetime | None) -> bool: ...
    async def revoke(self, principal: str, scope: str, now: datetime) -> bool: ...
    async def take_back(self, source: str, now: datetime) -> Taken | None: ...
    async def link(self, right: str, *, link_at: datetime, span_s: int, sid: str | None, fresh: bool) -> str | None: ...
    async def first_play(self, sub: str, title: str, at: datetime) -> list[Begun]: ...
    async def end_over(self, now: datetime, limit: int) -> list[Ended]: ...
    async def queue_up(self, principal: str, scope: str) -> None: ...
    async def viewers(self, scope: str) -> list[Viewer]: ...
    async def principal(self, id: str) -> Principal | None: ...
    async def block(self, seller: str, principal: str, now: datetime) -> bool: ...
    async def unblock(self, seller: str, principal: str) -> bool: ...
    async def blocked(self, seller: str) -> list[Viewer]: ...
    async def works_for(self, principal: str, sellers: Collection[str]) -> bool: ...


class Stores(Protocol):
    """One transaction, of whatever else besides."""

    @property
    def entitlements(self) -> Entitlements: ...


class Standings(Protocol):
    """Standings that may be a moment old: for what is shown. What a link is minted by is asked of storage itself."""

    async def of(self, title: Title, viewer: Principal | None) -> Standing: ...
    async def anew(self, title: Title, viewer: Principal | None) -> Standing: ...


class People(Protocol):
    """Finds accounts by name, and keeps them; accounts provides it."""

    async def principal_named(self, folded: str) -> str | None: ...
    async def keep(self, principal: str) -> bool | None: ...


def decide(facts: Facts) -> Decision:
    """The rule: the first line that applies decides.

    takedown → not ready or not on show (owner and admin see it before and after) → blocked → free → owner → admin →
    grant → purchase → rent → view → deny, and say so where a right is over.
    """
    inside = facts.owner or facts.admin
    lines: tuple[tuple[bool, bool, Reason], ...] = (
        (facts.taken_down, False, "taken-down"),
        (not facts.ready, False, "not-ready"),
        (not facts.on_show and not inside, False, "outside-window"),
        (facts.blocked, False, "blocked"),
        (facts.free, True, "free"),
        (facts.owner, True, "owner"),
        (facts.admin, True, "admin"),
        (facts.grant, True, "grant"),
        (facts.purchase, True, "purchase"),
        (facts.rent, True, "rent"),
        (facts.view, True, "view"),
        (facts.ended, False, "right-ended"),
    )
    return next((Decision(allow, reason) for applies, allow, reason in lines if applies), Decision(False, "no-right"))


def admit(title: Title, viewer: Principal | None, *, standing: Standing, now: datetime) -> Admission:
    """Whether `viewer` may watch now, by which right, and when that ends at the latest."""
    used = choose(standing.rights, now)
    free = [span for span in standing.free if span.holds(now)]
    facts = Facts(
        taken_down=title.taken_down,
        ready=title.edition is not None,
        on_show=title.on_show(now),
        blocked=standing.blocked,
        free=bool(free) or not standing.priced,
        owner=can(viewer, "title:watch", title),
        admin=can(viewer, "title:watch"),
        grant=used is not None and used.kind == "grant",
        purchase=used is not None and used.kind == "purchase" and used.term == "own",
        rent=used is not None and used.term == "rent",
        view=used is not None and used.term == "view",
        ended=any(not right.stands(now) for right in standing.rights),
    )
    decision = decide(facts)
    if facts.owner or facts.admin:
        return Admission(decision=decision)
    # What is free uses nothing up: a rental that was not begun is kept for when it is not.
    used = None if decision.reason == "free" and used is not None and not used.began else used
    ends = [last_end(free, used, title=title, now=now) if standing.priced else None, title.window_until]
    until = min((at for at in ends if at is not None), default=None)
    return Admission(decision=decision, until=until, right=None if decision.reason == "free" else used)


def choose(rights: Iterable[Right], now: datetime) -> Right | None:
    """The right to watch by: one that lasts, then what runs, longest first, then what must be begun the soonest.

    A rent before a view, which holds to one session.
    """
    standing = [right for right in rights if right.stands(now)]

    def rank(right: Right) -> tuple[bool, bool, bool, float]:
        over = right.over_at.timestamp() if right.over_at else float("inf")
        return right.over_at is not None, not right.began, right.term == "view", -over if right.began else over

    return min(standing, key=rank, default=None)


def last_end(free: Sequence[Span], used: Right | None, *, title: Title, now: datetime) -> datetime | None:
    """When the last of what allows it ends: free times that hold, and the right; None when one of them lasts."""
    ends = [span.ends_at for span in free]
    if used is not None:
        ends.append(runs_until(used, title=title, now=now))
    return None if not ends or None in ends else max(end for end in ends if end is not None)


def runs_until(right: Right, *, title: Title, now: datetime) -> datetime | None:
    """When a right is over that is used from now on; None for what lasts."""
    if right.term == "own" or right.first_play_at is not None:
        return right.over_at
    begun_now = now + timedelta(seconds=span_of(right, title))
    return begun_now if right.link_at is None or right.over_at is None else min(begun_now, right.over_at)


def span_of(right: Right, title: Title) -> int:
    """Seconds that a right runs from the first play: of a view by the title's length, as it is now."""
    return right.span_s or int(2 * (title.duration_s or 0)) + VIEW_SLACK_S


def start_by(bought_at: datetime) -> datetime:
    """When what is rented, or bought for one view, may not be begun any more."""
    return bought_at + timedelta(days=START_DAYS)
