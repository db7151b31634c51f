"""A payment at the sandbox as a value, what test cards do to it, and the rows the actions need."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from gateway.control.payments.providers.base import Charge, ChargeState, Order, Tariff
from shared.errors import BadWebhook, Conflict, Invalid
from shared.money import to_json

NAME = "sandbox"
#: The sandbox keeps as much of a payment as card companies do, so that books look as they will.
TARIFF = Tariff(290, {"USD": 30, "EUR": 25, "GBP": 20})
SMALLEST = 50
EXPIRES = timedelta(hours=24)
SLOW, DISPUTED, DECIDED = timedelta(seconds=20), timedelta(seconds=20), timedelta(seconds=20)
#: A webhook signed longer ago, or longer ahead, is not ours of now.
TOLERANCE_S = 300
SIGNATURE = "sandbox-signature"

Card = Literal["approve", "decline", "poor", "secure", "slow", "dispute", "dispute won"]
#: What a bank does with each test card.
CARDS: dict[str, Card] = {
    "4242424242424242": "approve",
    "4000000000000002": "decline",
    "4000000000009995": "poor",
    "4000002500003155": "secure",
    "4000000000000077": "slow",
    "4000000000000259": "dispute",
    "4000000000001976": "dispute won",
}
#: `secure`: the bank asks the payer. `processing`: the bank takes its time.
State = Literal["open", "secure", "processing", "authorized", "paid", "voided"]
#: What happens by itself at `due_at`.
Due = Literal["", "expire", "settle", "dispute", "dispute won", "win", "lose"]
DONE: dict[State, ChargeState] = {"authorized": "authorized", "paid": "paid", "voided": "voided"}
CardNumber = Annotated[str, Meta(max_length=40)]


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as the sandbox has it."""

    ref: str
    order_id: str
    hash: bytes
    amount: int
    currency: str
    description: str
    return_url: str
    hold: bool
    state: State = "open"
    words: str = ""
    refunded: int = 0
    disputed: int = 0
    due: Due = "expire"
    due_at: datetime | None = None
    created_at: datetime

    @property
    def charge(self) -> Charge:
        """The payment as all providers tell it."""
        state = DONE.get(self.state, "open")
        return Charge(
            provider_ref=self.ref,
            order=self.order_id,
            state=state,
            amount=self.amount,
            currency=self.currency,
            fee=TARIFF.quote(self.amount, self.currency).fee if state == "paid" else 0,
            fee_currency=self.currency,
            refunded=self.refunded,
            disputed=self.disputed,
            lost=0 if self.due else self.disputed,
            words=self.words,
        )


class Refund(msgspec.Struct, frozen=True):
    """What was given back, once under `key`."""

    key: str
    ref: str
    amount: int


class Notice(msgspec.Struct, frozen=True):
    """The body of a webhook: a payment changed."""

    id: str
    ref: str
    at: datetime


class Page(msgspec.Struct, frozen=True):
    """What the pay page shows. `state` is the payment's; `cards` are the numbers and what they do."""

    description: str
    amount: int | str
    currency: str
    state: State
    words: str
    return_url: str
    cards: dict[str, str]


class Paying(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A card's number as the payer types it."""

    number: CardNumber


class Answering(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the payer says to the bank's question."""

    passed: bool


class Payments(Protocol):
    """What the actions ask of the sandbox's rows. Of those that lock, nobody else changes what is found."""

    async def add(self, payment: Payment) -> bool: ...
    async def of_order(self, order: str) -> Payment | None: ...
    async def lock(self, ref: str) -> Payment | None: ...
    async def find(self, ref: str) -> Payment | None: ...
    async def write(self, payment: Payment) -> None: ...
    async def listed(self, since: datetime, until: datetime, *, after: str, limit: int) -> list[Payment]: ...
    async def lock_due(self, now: datetime, limit: int) -> list[Payment]: ...
    async def add_refund(self, refund: Refund) -> bool: ...
    async def refund_named(self, key: str) -> Refund | None: ...
    async def tell(self, notice: Notice) -> None: ...
    async def lock_untold(self, limit: int) -> list[Notice]: ...
    async def told(self, ids: list[str], now: datetime) -> None: ...
    async def sweep(self, before: datetime) -> None: ...


def payment_of(order: Order, ref: str, now: datetime) -> Payment:
    """An order as a payment that waits for its payer. Raises Invalid."""
    if order.amount < SMALLEST or not 0 <= order.fee_amount <= order.amount:
        raise Invalid(f"A payment is at least {SMALLEST} of the smallest unit.", code="bad-amount")
    if order.seller_account:
        raise Invalid("The sandbox has no accounts of sellers.", code="no-seller-accounts")
    return Payment(
        ref=ref,
        order_id=order.id,
        hash=hashlib.sha256(msgspec.json.encode(order)).digest(),
        amount=order.amount,
        currency=order.currency,
        description=order.description,
        return_url=order.return_url,
        hold=order.hold,
        due_at=now + EXPIRES,
        created_at=now,
    )


def paid_with(payment: Payment, number: str, now: datetime) -> Payment:
    """What a card makes of a payment. Raises Invalid for what is no test card, Conflict when it is not open."""
    card = CARDS.get("".join(number.split()).replace("-", ""))
    if card is None:
        raise Invalid("The sandbox knows only its test cards; no real card is charged here.", code="no-test-card")
    if payment.state != "open":
        raise Conflict("This payment does not wait for a card.", state=payment.state)
    if card in ("decline", "poor"):
        words = "The card was declined." if card == "decline" else "There is not enough money on this card."
        return replace(payment, words=words)
    if card == "secure":
        return replace(payment, state="secure", words="")
    if card == "slow":
        return replace(payment, state="processing", words="", due="settle", due_at=now + SLOW)
    done = approved(payment)
    if card == "approve" or done.hold:
        return done
    return replace(done, due=card, due_at=now + DISPUTED)


def approved(payment: Payment) -> Payment:
    """The bank pays, or sets the amount aside."""
    return replace(payment, state="authorized" if payment.hold else "paid", words="", due="", due_at=None)


def answered(payment: Payment, *, passed: bool) -> Payment:
    """The payer answered the bank's question. Raises Conflict when there was none."""
    if payment.state != "secure":
        raise Conflict("The bank asked nothing.", state=payment.state)
    return approved(payment) if passed else replace(payment, state="open", words="The bank did not recognise you.")


def captured(payment: Payment) -> Payment:
    """What was set aside is taken. Raises Conflict when nothing is."""
    if payment.state == "paid":
        return payment
    if payment.state != "authorized":
        raise Conflict("Nothing is set aside on this payment.", state=payment.state)
    return replace(payment, state="paid")


def voided(payment: Payment) -> Payment:
    """Nothing will be taken. Raises Conflict when it was, or when the bank is at it."""
    if payment.state in ("paid", "processing"):
        raise Conflict("The payment is made; refund it.", state=payment.state)
    return replace(payment, state="voided", due="", due_at=None)


def left(payment: Payment) -> Payment:
    """The payer gave up. Raises Conflict where the payer already paid."""
    if payment.state == "authorized":
        raise Conflict("The payment is made.", state=payment.state)
    return voided(payment)


def refunded(payment: Payment, amount: int) -> Payment:
    """So much is given back. Raises Conflict when it was not paid, or less than that is left of it."""
    if payment.state != "paid":
        raise Conflict("The payment is not made.", state=payment.state)
    if amount > payment.amount - payment.refunded - payment.disputed:
        raise Conflict("Less than that is left of the payment.", code="refund-too-large")
    return replace(payment, refunded=payment.refunded + amount)


def matured(payment: Payment, now: datetime) -> Payment:
    """What happens by itself, and what is due after that."""
    if payment.due == "expire":
        return voided(payment)
    if payment.due == "settle":
        return approved(payment)
    if payment.due == "win":
        return replace(payment, disputed=0, due="", due_at=None)
    if payment.due == "lose":
        return replace(payment, due="", due_at=None)
    then: Due = "win" if payment.due == "dispute won" else "lose"
    return replace(payment, disputed=payment.amount - payment.refunded, due=then, due_at=now + DECIDED)


def page_of(payment: Payment) -> Page:
    """What the payer sees."""
    return Page(
        description=payment.description,
        amount=to_json(payment.amount),
        currency=payment.currency,
        state=payment.state,
        words=payment.words,
        return_url=payment.return_url,
        cards=dict(CARDS),
    )


def body_of(notice: Notice) -> bytes:
    """The body of the webhook that tells of a change."""
    return msgspec.json.encode(notice)


def sign(body: bytes, key: bytes, at_s: int) -> dict[str, str]:
    """The header that says a webhook is ours, and of when."""
    return {SIGNATURE: f"t={at_s},v1={_mac(body, key, at_s)}"}


def notice_of(header: str, body: bytes, *, key: bytes, now_s: float) -> Notice:
    """The notice in a webhook of ours. Raises BadWebhook."""
    at, _, mac = header.removeprefix("t=").partition(",v1=")
    if not (at.isascii() and at.isdigit() and len(at) < 12 and abs(now_s - int(at)) <= TOLERANCE_S):
        raise BadWebhook()
    if not hmac.compare_digest(_mac(body, key, int(at)).encode(), mac.encode()):
        raise BadWebhook()
    try:
        return msgspec.json.decode(body, type=Notice)
    except msgspec.DecodeError as error:
        raise BadWebhook("This webhook is signed but holds no notice.") from error


def _mac(body: bytes, key: bytes, at_s: int) -> str:
    return hmac.new(key, b"%d.%b" % (at_s, body), hashlib.sha256).hexdigest()
