"""Referrals as values: a code, and the part of the platform's fee that goes to whose code brought the buyer."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from gateway.control.ledger.model import Leg, account
from shared.money import fee_minor

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


def legs(fee: int, referrer: str | None, *, currency: str, bp: int) -> list[Leg]:
    """How the platform's fee of a sale is booked: the referrer's part is taken of it, rounded down, the rest stays.

    The legs add up to `fee`; one without an amount is left out.
    """
    credit = fee_minor(fee, bp) if referrer is not None else 0
    found = [Leg(account("platform_fee"), currency, fee - credit)]
    if referrer is not None:
        found.append(Leg(account("wallet", referrer), currency, credit))
    return [leg for leg in found if leg.amount]
