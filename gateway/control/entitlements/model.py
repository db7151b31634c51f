"""The right to watch: one rule over plain facts, and what it needs from storage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from gateway.control.auth import Principal

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
    "no-right",
]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that the rule looks at. `on_show`: published and within its window."""

    taken_down: bool = False
    ready: bool = False
    on_show: bool = False
    blocked: bool = False
    free: bool = False
    owner: bool = False
    admin: bool = False
    grant: bool = False
    purchase: bool = False


class Decision(msgspec.Struct, frozen=True):
    """Whether one may watch, and the first line of the rule that said so."""

    allow: bool
    reason: Reason


class Right(msgspec.Struct, frozen=True):
    """A right that stands now; without an end it lasts."""

    kind: Literal["grant", "purchase"]
    ends_at: datetime | None = None


class Viewer(msgspec.Struct, frozen=True):
    """Somebody whom a seller lets in."""

    username: str
    since: datetime


class Viewers(msgspec.Struct, frozen=True):
    """Who is let in, the newest first."""

    items: list[Viewer]


class Entitlements(Protocol):
    """What the actions ask of storage."""

    async def rights(self, principal: str, scope: str, now: datetime) -> list[Right]: ...
    async def grant(self, id: str, principal: str, scope: str) -> bool: ...
    async def revoke(self, principal: str, scope: str, now: datetime) -> bool: ...
    async def viewers(self, scope: str) -> list[Viewer]: ...
    async def principal(self, id: str) -> Principal | None: ...


class People(Protocol):
    """Finds accounts by name; accounts provides it."""

    async def principal_named(self, folded: str) -> str | None: ...


def decide(facts: Facts) -> Decision:
    """The rule: the first line that applies decides.

    takedown → not ready or not on show (owner and admin see it before and after) → blocked → free → owner → admin →
    grant → purchase → deny.
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
    )
    return next((Decision(allow, reason) for applies, allow, reason in lines if applies), Decision(False, "no-right"))


def last_end(rights: Sequence[Right]) -> datetime | None:
    """When the longest of these rights ends; None when one lasts or there is none."""
    ends = [right.ends_at for right in rights]
    return None if not ends or None in ends else max(end for end in ends if end is not None)
