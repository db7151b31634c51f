"""Withdrawals and their policy as values: earnings on their way out, by the terms of a rail."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.control.ledger.model import Leg, account
from shared.errors import Conflict, Invalid
from shared.money import Money, decimals

WithdrawalState = Literal["requested", "approved", "paying", "paid", "rejected", "returned"]

#: Units of a currency that a withdrawal takes out at least where its rail has no policy.
WITHDRAWAL_UNITS = 50
#: The rail on which somebody pays by hand.
BY_HAND = "bank"
MOVES: Mapping[WithdrawalState, frozenset[WithdrawalState]] = {
    "requested": frozenset({"approved", "rejected"}),
    "approved": frozenset({"paying", "paid", "rejected"}),
    "paying": frozenset({"paid", "returned"}),
    "paid": frozenset({"returned"}),
    "rejected": frozenset(),
    "returned": frozenset(),
}
#: What its seller is told of one that is sent back as they owe something by then.
OWED = "Sales were given back since you asked for it, and that is taken off first. Ask again for what is left."
#: What a rail's ceiling is counted over.
DAY = timedelta(days=1)

Amount = Annotated[int, Meta(ge=1, le=10**12)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3,5}$(?!\n)")]
Rail = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,30}$(?!\n)")]
Reason = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]


class WithdrawalOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Takes available earnings out by a rail."""

    amount: Amount
    currency: Currency
    rail: Rail = BY_HAND


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True):
    """Earnings on their way out. Approved ones are paid from `due_at` on, by a `run` of the worker; one that is
    rejected, or returned by its rail, also after it was paid, is available again. `tries`: how often its rail could
    not pay it yet.
    """

    id: str
    seller: str
    amount: int
    currency: str
    rail: str
    state: WithdrawalState
    due_at: datetime
    reason: str = ""
    rail_ref: str = ""
    created_at: datetime
    decided_at: datetime | None = None
    paid_at: datetime | None = None
    run: str | None = None
    tries: int = 0


class Withdrawals(msgspec.Struct, frozen=True, kw_only=True):
    """Withdrawals, the newest first for a seller, the oldest first for who decides.

    For who decides, too: `handles` of sellers, by id, and what of each withdrawal's currency its seller is `owing`.
    """

    items: list[Withdrawal]
    handles: dict[str, str] = {}
    owing: dict[str, int | str] = {}


class Rejection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a withdrawal is returned. `came_back`: the bank sent it back, without which one that was paid stays so."""

    reason: Reason
    came_back: bool = False


class PaidOut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That a withdrawal was paid, and how the rail calls that."""

    rail_ref: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On which terms a rail pays out: the least, days it waits, and how much in 24 hours without anybody asked."""

    rail: Rail
    currency: Currency
    minimum: Amount
    hold_days: Annotated[int, Meta(ge=0, le=365)]
    auto_up_to: Annotated[int, Meta(ge=0, le=10**12)] = 0


class Policies(msgspec.Struct, frozen=True):
    """The policies that were set; every other rail and currency has the default."""

    items: list[Policy]


def default_policy(rail: str, currency: str, *, hold_days: int) -> Policy:
    """The terms of a rail for which none were set: 50.00, and somebody is always asked."""
    return Policy(
        rail=rail, currency=currency, minimum=WITHDRAWAL_UNITS * 10 ** decimals(currency), hold_days=hold_days
    )


def decide(
    id: str, order: WithdrawalOrder, policy: Policy, *, seller: str, now: datetime, taken: int = 0
) -> Withdrawal:
    """The withdrawal that an order becomes: approved at once up to the ceiling, with what was `taken` so before it.

    Raises Invalid below the minimum.
    """
    if order.amount < policy.minimum:
        least = Money(policy.minimum, policy.currency)
        raise Invalid(f"By {policy.rail} {least} is paid out at least.", code="withdrawal-too-small")
    is_approved = taken + order.amount <= policy.auto_up_to
    return Withdrawal(
        id=id,
        seller=seller,
        amount=order.amount,
        currency=order.currency,
        rail=order.rail,
        state="approved" if is_approved else "requested",
        due_at=now + timedelta(days=policy.hold_days),
        created_at=now,
        decided_at=now if is_approved else None,
    )


def moved(withdrawal: Withdrawal, state: WithdrawalState, *, now: datetime) -> Withdrawal:
    """The withdrawal in its next state. Raises Conflict where it cannot be in that, or is not due yet."""
    if state not in MOVES[withdrawal.state]:
        raise Conflict(f"This withdrawal is {withdrawal.state} already.", code=f"withdrawal-{withdrawal.state}")
    if state == "paid":
        if now < withdrawal.due_at:
            raise Conflict("This withdrawal waits for its days to pass.", code="withdrawal-not-due")
        return msgspec.structs.replace(withdrawal, state=state, paid_at=now)
    return msgspec.structs.replace(withdrawal, state=state, decided_at=now)


def leaving(withdrawal: Withdrawal) -> list[Leg]:
    """Legs of a withdrawal that begins."""
    return _legs("earnings", withdrawal, account("payout_in_transit", withdrawal.seller))


def returning(withdrawal: Withdrawal, owed: int) -> list[Leg]:
    """Legs of one that is rejected: it is available again, after what is owed by now."""
    paid = min(owed, withdrawal.amount)
    debt = [Leg(account("receivable", withdrawal.seller), withdrawal.currency, paid)] if paid else []
    away = Leg(account("payout_in_transit", withdrawal.seller), withdrawal.currency, -withdrawal.amount)
    return [away, *debt, Leg(account("earnings", withdrawal.seller), withdrawal.currency, withdrawal.amount - paid)]


def arriving(withdrawal: Withdrawal) -> list[Leg]:
    """Legs of one that was paid."""
    return _legs("payout_in_transit", withdrawal, account("cash", withdrawal.rail))


def bouncing(withdrawal: Withdrawal) -> list[Leg]:
    """Legs of one that was paid and came back: it is on its way again."""
    return [msgspec.structs.replace(leg, amount=-leg.amount) for leg in arriving(withdrawal)]


def _legs(kind: Literal["earnings", "payout_in_transit"], withdrawal: Withdrawal, to: str) -> list[Leg]:
    away = Leg(account(kind, withdrawal.seller), withdrawal.currency, -withdrawal.amount)
    return [away, Leg(to, withdrawal.currency, withdrawal.amount)]
