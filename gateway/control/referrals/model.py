"""Referrals as values: a code, and the part of the platform's fee that goes to whose code brought the buyer."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

#: Symbols of a code.
LENGTH = 8


class Referral(msgspec.Struct, frozen=True, kw_only=True):
    """One's code. `bp`: basis points of the platform's fee that one gets of what is bought by it."""

    code: str
    bp: int


class ReferralRows(Protocol):
    """What the actions ask of storage."""

    async def code_of(self, principal: str) -> str | None: ...
    async def add(self, principal: str, code: str, at: datetime) -> bool: ...
    async def owner(self, code: str) -> str | None: ...
