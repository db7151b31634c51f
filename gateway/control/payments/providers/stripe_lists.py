"""Stripe's lists and transfers as values: what was begun, given back, disputed or paid out in a period. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from stripe.params import TransferCreateParams

from gateway.control.payments.providers.base import Charge, Listed, PaidOut, Payout
from gateway.control.payments.providers.stripe_values import (
    BalanceTransaction,
    Dispute,
    Session,
    charge_of,
)

#: Objects of one page.
PAGE = 100
#: How Stripe says that the platform's own balance does not hold what is to be paid out.
TOO_LOW = "balance_insufficient"


class About(msgspec.Struct, frozen=True):
    """Which payment a charge, a refund or a dispute is of; `captured` is a charge's alone."""

    payment_intent: str | None = None
    captured: bool = False


class Stray(msgspec.Struct, frozen=True):
    """A charge that no Checkout Session led to: somebody made it past us."""

    id: str
    amount: int
    currency: str
    captured: bool = False
    amount_refunded: int = 0
    payment_intent: str | None = None
    balance_transaction: BalanceTransaction | None = None


class Sent(msgspec.Struct, frozen=True):
    """A transfer to a seller's account; of a payout the group is the withdrawal."""

    id: str
    amount: int
    currency: str
    amount_reversed: int = 0
    transfer_group: str | None = None
    metadata: dict[str, str] = {}


def period(since: datetime, until: datetime) -> dict[str, Any]:
    """Parameters of a list: what was made from `since` to before `until`."""
    return {"limit": PAGE, "created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())}}


def listed_of(session: Session, disputes: Sequence[Dispute] = ()) -> Listed:
    """A payment, and what of it went to the seller's account."""
    charge, intent = charge_of(session, disputes), session.payment_intent
    if charge.state != "paid" or intent is None or intent.transfer_data is None:
        return Listed(charge=charge)
    return Listed(charge=charge, passed_on=charge.amount - (intent.application_fee_amount or 0))


def stray_of(stray: Stray) -> Listed:
    """A charge that was not begun here, named by its payment."""
    balance, currency = stray.balance_transaction, stray.currency.upper()
    charge = Charge(
        provider_ref=stray.payment_intent or stray.id,
        order="",
        state="paid",
        amount=stray.amount,
        currency=currency,
        fee=sum(part.amount for part in balance.fee_details if part.type != "application_fee") if balance else 0,
        fee_currency=balance.currency.upper() if balance else currency,
        refunded=stray.amount_refunded,
    )
    return Listed(charge=charge)


def payout_params(payout: Payout) -> TransferCreateParams:
    """What a transfer is made of; it can be found again by its group, for Stripe forgets idempotency keys."""
    return {
        "amount": payout.amount,
        "currency": payout.currency.lower(),
        "destination": payout.account,
        "transfer_group": payout.id,
        "metadata": {"withdrawal": payout.id},
    }


def paid_out_of(sent: Sent) -> PaidOut | None:
    """A transfer as the payout it is; None for one that passes a payment on."""
    if "withdrawal" not in sent.metadata:
        return None
    return PaidOut(
        id=sent.metadata["withdrawal"],
        rail_ref=sent.id,
        amount=sent.amount - sent.amount_reversed,
        currency=sent.currency.upper(),
    )
