"""Stripe's objects as values: orders to parameters, sessions to charges, errors to ours, webhooks to events. No I/O."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import stripe
from stripe.params import RefundCreateParams
from stripe.params.checkout import SessionCreateParams

from gateway.control.payments.providers.base import Charge, ChargeState, Order, ProviderEvent
from shared.errors import (
    BadWebhook,
    Conflict,
    Declined,
    Invalid,
    KeyReused,
    NotFound,
    ProviderUnavailable,
    UsherError,
)
from shared.money import decimals

NAME = "stripe"
#: A webhook that was signed longer ago than this is a replay: Stripe signs each delivery anew, for three days. One of
#: so much later would be good for a replay until then.
TOLERANCE_S = 300
#: Longest name of a product on Stripe's page.
NAME_LENGTH = 250
#: Disputes in these states took nothing, or gave it back.
HARMLESS = frozenset({"won", "prevented", "warning_needs_response", "warning_under_review", "warning_closed"})
#: How Stripe says that an account, or the platform's, does not hold what is to be taken from it.
SHORT = frozenset({"balance_insufficient", "insufficient_funds"})
#: What an event may be about; all else is for others.
CHARGES = ("checkout.session.", "payment_intent.", "charge.", "refund.")
#: Refusals that say in which state a payment is, not that a request is wrong.
STATES = frozenset(
    {
        "charge_already_refunded",
        "charge_already_captured",
        "charge_disputed",
        "charge_not_refundable",
        "insufficient_funds",
        "payment_intent_unexpected_state",
        "refund_disputed_payment",
    }
)


class FeeDetail(msgspec.Struct, frozen=True):
    """A part of what was kept of a payment."""

    amount: int
    type: str


class BalanceTransaction(msgspec.Struct, frozen=True):
    """What a payment did to the platform's balance, in the currency of that balance."""

    currency: str
    fee_details: list[FeeDetail] = []


class Transfer(msgspec.Struct, frozen=True):
    """What was passed on to a seller's account, and how much of that was taken back."""

    id: str
    amount: int
    amount_reversed: int = 0


class ApplicationFee(msgspec.Struct, frozen=True):
    """What the platform took from the seller's account, and how much of that it gave back there."""

    amount_refunded: int = 0


class StripeCharge(msgspec.Struct, frozen=True):
    """The last try at a payment."""

    amount_refunded: int = 0
    disputed: bool = False
    balance_transaction: BalanceTransaction | None = None
    transfer: Transfer | None = None
    application_fee: ApplicationFee | None = None

    @property
    def reversed(self) -> int:
        """What came back from the seller's account; a refund in proportion gives the platform's fee on it back there.

        Somebody may give the fee alone back there: that is the seller's then.
        """
        given = self.application_fee.amount_refunded if self.application_fee else 0
        return max(0, self.transfer.amount_reversed - given) if self.transfer else 0


class IntentError(msgspec.Struct, frozen=True):
    """Why the last try failed, in words for the payer."""

    message: str | None = None


class TransferData(msgspec.Struct, frozen=True):
    """Whose account the payment is passed on to."""

    destination: str


class Intent(msgspec.Struct, frozen=True):
    """A PaymentIntent with its charge."""

    id: str
    status: str
    latest_charge: StripeCharge | None = None
    last_payment_error: IntentError | None = None
    transfer_data: TransferData | None = None
    application_fee_amount: int | None = None


class Session(msgspec.Struct, frozen=True):
    """A Checkout Session with its PaymentIntent, which it has once the payer tried to pay."""

    id: str
    status: str
    amount_total: int
    currency: str
    url: str | None = None
    client_reference_id: str | None = None
    payment_intent: Intent | None = None


class DisputeEntry(msgspec.Struct, frozen=True):
    """What a dispute did to the platform's balance. `fee`: for the dispute itself; below zero when it came back."""

    fee: int
    currency: str


class Dispute(msgspec.Struct, frozen=True):
    """A payer's bank takes a payment back."""

    amount: int
    status: str
    balance_transactions: list[DisputeEntry] = []


class Account(msgspec.Struct, frozen=True):
    """A seller's account."""

    id: str
    charges_enabled: bool
    payouts_enabled: bool
    requirements: dict[str, Any] | None = None


class _Object(msgspec.Struct, frozen=True):
    id: str
    payment_intent: str | dict[str, Any] | None = None


class _Data(msgspec.Struct, frozen=True):
    object: _Object


class _Event(msgspec.Struct, frozen=True):
    id: str
    type: str
    created: int
    data: _Data


def session_params(order: Order, *, descriptor: str) -> SessionCreateParams:
    """What a Checkout Session is made of: the same for the same order, or its idempotency key would be refused.

    So it has no end of its own (Stripe's is 24 hours on). The price is charged as shown: no other currency is offered.
    """
    intent: dict[str, Any] = {
        "description": order.description,
        "metadata": {"order": order.id, "title": order.title},
        "capture_method": "manual" if order.hold else "automatic",
    }
    if descriptor:
        intent["statement_descriptor_suffix"] = descriptor
    if order.seller_account:
        intent["transfer_data"] = {"destination": order.seller_account}
        if order.fee_amount:
            intent["application_fee_amount"] = order.fee_amount
    return {
        "mode": "payment",
        "client_reference_id": order.id,
        "adaptive_pricing": {"enabled": False},
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": order.currency.lower(),
                    "unit_amount": order.amount,
                    "product_data": {"name": order.description[:NAME_LENGTH]},
                },
            }
        ],
        "payment_intent_data": intent,  # type: ignore[typeddict-item]  # made in parts
        "success_url": order.return_url,
        "cancel_url": order.return_url,
    }


def refund_params(session: Session, amount: int, key: str, *, in_proportion: bool) -> RefundCreateParams:
    """What a refund is made of; our key is written on it, for Stripe forgets idempotency keys.

    `in_proportion`: Stripe takes as much back from the seller's account, and gives the platform's fee on it back there.
    """
    intent = intent_of(session)
    params: RefundCreateParams = {"payment_intent": intent.id, "amount": amount, "metadata": {"key": key}}
    if in_proportion:
        params["reverse_transfer"] = True
        if intent.application_fee_amount:
            params["refund_application_fee"] = True
    return params


def of_seller_now(session: Session, amount: int, of_seller: int | None) -> int | None:
    """What a refund takes by itself from the seller's account, before it is made; None where Stripe's way fits.

    That is in proportion to the payment, so it fits where refunds alone took back so far, each in that way. After a
    dispute, or a refund that took nothing there, it would take another amount than the books do.
    """
    intent = intent_of(session)
    charge = intent.latest_charge
    if intent.transfer_data is None or of_seller == 0:
        return 0
    if charge is None or charge.transfer is None:
        return None
    if not charge.disputed and charge.transfer.amount_reversed == charge.amount_refunded:
        return None
    if of_seller is not None:
        return of_seller
    kept = intent.application_fee_amount or 0
    return max(0, min(amount, charge.transfer.amount - kept - charge.transfer.amount_reversed))


def intent_of(session: Session) -> Intent:
    """The PaymentIntent of a session. Raises Conflict when nobody tried to pay yet."""
    if session.payment_intent is None:
        raise Conflict("Nobody paid yet.", state="open")
    return session.payment_intent


def transfer_of(session: Session) -> Transfer:
    """What was passed on to the seller's account. Raises Conflict where nothing was."""
    charge = intent_of(session).latest_charge
    if charge is None or charge.transfer is None:
        raise Conflict("Nothing of this payment went to a seller's account.", state="kept")
    return charge.transfer


def checked(order: Order) -> Order:
    """The order, if it can be one. Raises Invalid."""
    if order.amount <= 0 or not 0 <= order.fee_amount <= order.amount:
        raise Invalid("A payment has an amount above zero and a fee that is at most that.", code="bad-amount")
    if decimals(order.currency) == 3 and order.amount % 10:
        raise Invalid(f"A card cannot be charged the last digit of {order.currency}; end it with 0.", code="bad-amount")
    return order


def charge_of(session: Session, disputes: Sequence[Dispute] = ()) -> Charge:
    """The payment as it is now. What Stripe keeps of it grows by the fees of disputes, and shrinks when one is won."""
    intent = session.payment_intent
    last = intent.latest_charge if intent else None
    balance = last.balance_transaction if last else None
    error = intent.last_payment_error if intent else None
    kept = [part.amount for part in balance.fee_details if part.type != "application_fee"] if balance else []
    for_disputes = [entry.fee for one in disputes for entry in one.balance_transactions]
    return Charge(
        provider_ref=session.id,
        order=session.client_reference_id or "",
        state=state_of(session),
        amount=session.amount_total,
        currency=session.currency.upper(),
        fee=sum(kept + for_disputes) if kept else 0,
        fee_currency=balance.currency.upper() if balance else session.currency.upper(),
        refunded=last.amount_refunded if last else 0,
        disputed=sum(one.amount for one in disputes if one.status not in HARMLESS),
        lost=sum(one.amount for one in disputes if one.status == "lost"),
        reversed=last.reversed if last else 0,
        words=(error.message or "") if error else "",
    )


def state_of(session: Session) -> ChargeState:
    """What became of a session. While it is open a declined payer may try another card."""
    intent = session.payment_intent
    if intent and intent.status == "succeeded":
        return "paid"
    if intent and intent.status == "requires_capture":
        return "authorized"
    if session.status == "expired" or (intent and intent.status == "canceled"):
        return "voided"
    if session.status == "complete" and intent and intent.status == "requires_payment_method":
        return "declined"
    return "open"


def error_of(error: stripe.StripeError) -> UsherError:
    """What one of Stripe's errors means here. What may have happened all the same is ProviderUnavailable."""
    code = getattr(error, "code", None) or ""
    if isinstance(error, stripe.CardError):
        return Declined(error.user_message or "The card was declined.", code="declined", reason=code)
    if isinstance(error, stripe.IdempotencyError):
        return KeyReused("This payment was begun before with other values.")
    if isinstance(error, stripe.InvalidRequestError):
        if code == "resource_missing":
            return NotFound("The payment provider knows no such payment.")
        if code in STATES:
            return Conflict(error.user_message or "The payment is in a state that does not allow this.", reason=code)
        return Invalid(error.user_message or "The payment provider refused the request.", reason=code)
    return ProviderUnavailable(reason=code or type(error).__name__)


def is_kept_failure(error: stripe.StripeError) -> bool:
    """Whether a failure was kept with its idempotency key: with that key there will never be another answer."""
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    return (error.http_status or 0) >= 500 and headers.get("idempotent-replayed") == "true"


def events_of(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> list[ProviderEvent]:
    """What a webhook that one of the secrets signed tells. Raises BadWebhook."""
    if not any(_is_signed(headers.get("stripe-signature"), body, secret) for secret in secrets):
        raise BadWebhook()
    try:
        event = msgspec.json.decode(body, type=_Event)
        at = datetime.fromtimestamp(event.created, UTC)
    except (msgspec.DecodeError, ValueError, OverflowError, OSError) as error:
        raise BadWebhook("This webhook is signed but holds no event.") from error
    about = event.data.object
    if event.type == "account.updated":
        return [ProviderEvent(source=NAME, event_id=event.id, kind="account", provider_ref=about.id, at=at)]
    if not event.type.startswith(CHARGES):
        return []
    # What hangs on a payment (a charge, a refund, a dispute) names its PaymentIntent; a session is found by itself.
    intent = about.payment_intent if not about.id.startswith("cs_") else None
    ref = intent if isinstance(intent, str) else about.id
    return [ProviderEvent(source=NAME, event_id=event.id, kind="charge", provider_ref=ref, at=at)]


def _is_signed(header: str | None, body: bytes, secret: str) -> bool:
    """Whether the secret signed it just now. Stripe's library refuses what is of before alone, not what is of later."""
    try:
        stripe.WebhookSignature.verify_header(body, header, secret, TOLERANCE_S)
        at = next(part for part in (header or "").split(",") if part.startswith("t="))
        return int(at.removeprefix("t=")) <= time.time() + TOLERANCE_S
    except (stripe.SignatureVerificationError, ValueError, TypeError):  # the last two for bytes that are no text
        return False
