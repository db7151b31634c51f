"""Revocations as values, and how a viewer is named."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

from gateway.control.auth import Principal

Kind = Literal["session", "viewer", "title"]


class RevocationOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to end: a session by its id, a viewer by user name or id, a title by id or short id."""

    kind: Kind
    id: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
    reason: Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*$")] = ""


class Revocation(msgspec.Struct, frozen=True, kw_only=True):
    """What was ended: every link that had been given for it by then."""

    kind: Kind
    id: str
    reason: str
    at: datetime


class People(Protocol):
    """Finds who is meant; accounts and entitlements provide it."""

    async def principal_named(self, folded: str) -> str | None: ...


class Principals(Protocol):
    """Finds a principal by its id."""

    async def principal(self, id: str) -> Principal | None: ...
