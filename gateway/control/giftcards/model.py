"""Gift cards as values: codes, what they hold, and what is booked for them."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

from gateway.control.ledger.model import Event, Leg, Movement, Stamps, account
from gateway.control.wallet.model import Payment
from shared.errors import Invalid
from shared.ids import SHORT_ALPHABET
from shared.money import Money, decimals
from shared.rates import PER_DOLLAR

#: 79 bits in groups of four, from letters that nobody mistakes for others.
GROUPS, GROUP = 4, 4
#: What a card may hold: so many times about a dollar, in its currency.
LEAST, MOST = 1, 1000
#: Cards of one buyer that a page shows.
PAGE = 200


class NewGiftCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What makes a gift card: so much of the buyer's wallet."""

    amount: Annotated[int, Meta(ge=1, le=10**12)]
    currency: str


class Redemption(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code as somebody typed it."""

    code: Annotated[str, Meta(min_length=1, max_length=64)]


class Bought(msgspec.Struct, frozen=True, kw_only=True):
    """A new card, with its code: it is shown in this answer, and kept nowhere in clear."""

    id: str
    code: str
    amount: int
    currency: str


class Redeemed(msgspec.Struct, frozen=True, kw_only=True):
    """What a card brought into the wallet."""

    amount: int
    currency: str


class GiftCard(msgspec.Struct, frozen=True, kw_only=True):
    """A card as its buyer sees it: `hint` is the end of its code."""

    id: str
    hint: str
    amount: int
    currency: str
    created_at: datetime
    redeemed_at: datetime | None = None


class GiftCards(msgspec.Struct, frozen=True):
    """The cards somebody bought, the newest first."""

    items: list[GiftCard]


class GiftCardRows(Protocol):
    """What the actions ask of storage."""

    async def add(self, card: GiftCard, code_hash: bytes, *, bought_by: str, txn: int) -> None: ...
    async def by_code(self, code_hash: bytes) -> GiftCard | None: ...
    async def bought_in(self, card: str) -> int: ...
    async def redeem(self, card: str, *, by: str, txn: int, at: datetime) -> None: ...
    async def of_buyer(self, principal: str, limit: int) -> list[GiftCard]: ...


def draw_code() -> str:
    """A new code: `k7mq-…`."""
    return "-".join("".join(secrets.choice(SHORT_ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS))


def hash_of(code: str) -> bytes:
    """The SHA-256 by which a code is found, however it was typed: case, spaces and dashes do not matter."""
    return hashlib.sha256("".join(sign for sign in code.lower() if sign.isalnum()).encode()).digest()


def check_amount(amount: int, currency: str) -> None:
    """Raises Invalid for less or more than a card holds."""
    unit = _round_dollar(currency) * 10 ** decimals(currency)
    if not LEAST * unit <= amount <= MOST * unit:
        least, most = Money(LEAST * unit, currency), Money(MOST * unit, currency)
        raise Invalid(f"amount: a gift card holds from {least} to {most}.")


def _round_dollar(currency: str) -> int:
    """About a dollar in whole units of a currency: 1, 10, 100 …, whichever is nearest; 1 without a rate."""
    rate, found = PER_DOLLAR.get(currency, PER_DOLLAR["USD"]), 1
    while rate**2 > 10 * (found * PER_DOLLAR["USD"]) ** 2:
        found *= 10
    return found


def purchase(card: GiftCard, buyer: str, *, key: str, legal_entity: str) -> Movement:
    """From the buyer's wallet to what the platform owes for cards."""
    legs = [
        Leg(account("wallet", buyer), card.currency, -card.amount),
        Leg(account("giftcards"), card.currency, card.amount),
    ]
    event = Event("giftcard.bought", card.id, {"giftcard": card.id, "principal": buyer})
    stamps = Stamps(legal_entity=legal_entity)
    return Movement(key=f"giftcard.buy:{key}", kind="giftcard.buy", legs=legs, stamps=stamps, events=[event])


def redemption(card: GiftCard, by: str, *, legal_entity: str | None) -> Movement:
    """From there to the wallet of whoever brought the code; once a card. `legal_entity`: the company that sold it."""
    legs = [
        Leg(account("giftcards"), card.currency, -card.amount),
        Leg(account("wallet", by), card.currency, card.amount),
    ]
    event = Event("giftcard.redeemed", card.id, {"giftcard": card.id, "principal": by})
    stamps = Stamps(legal_entity=legal_entity)
    return Movement(key=f"giftcard.redeem:{card.id}", kind="giftcard.redeem", legs=legs, stamps=stamps, events=[event])


def payment(
    card: GiftCard, kind: Literal["gift_card", "redeemed"], *, principal: str, txn: int, at: datetime
) -> Payment:
    """The card as its buyer, or whoever brought it, has it in their history of payments."""
    amount = -card.amount if kind == "gift_card" else card.amount
    return Payment(principal=principal, kind=kind, amount=amount, currency=card.currency, rail="wallet", txn=txn, at=at)
