"""What the second set of books knows: who sold what to whom, and what is on its way."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Refusal(Exception):
    """What people are told instead, by its code."""


class Coupon(msgspec.Struct, frozen=True):
    """`bp` basis points or `amount` off, so often."""

    seller: str
    bp: int = 0
    amount: int = 0
    uses: int = 2


class Film(msgspec.Struct, frozen=True):
    """A title: its seller, its price, and who has which basis points of what the fee leaves, by id."""

    id: str
    offer: str
    seller: str
    price: int
    partners: dict[str, int]


class Part(msgspec.Struct):
    """What one got of a payment, on which kind of account, and what was taken back of it."""

    kind: str
    owner: str
    amount: int
    back: int = 0


class Sale(msgspec.Struct):
    """A purchase or a top-up, and how its bank has it (`charged`, `returned`, `claimed`).

    `freed`: the coupon it had when it was given up.
    """

    payer: str
    viewer: str
    film: str
    amount: int
    rail: str
    opened: datetime
    coupon: str = ""
    referrer: str = ""
    state: str = "new"
    freed: str = ""
    parts: list[Part] = []
    refunded: int = 0
    disputed: int = 0
    came: bool = False
    settle_at: datetime | None = None
    charged: bool = False
    returned: int = 0
    claimed: int = 0


class Refund(msgspec.Struct):
    """What a bank is asked to give back."""

    sale: str
    amount: int
    state: str = "asked"


class Leaving(msgspec.Struct):
    """Earnings on their way out."""

    seller: str
    amount: int
    state: str
    due_at: datetime


class Held(msgspec.Struct):
    """A piece of a wallet that is set aside."""

    owner: str
    amount: int
    ends: datetime
    open: bool = True
