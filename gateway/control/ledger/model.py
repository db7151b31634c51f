"""Money as values: movements and their legs, what they are stamped with, accounts and holds; the port actions need.

An amount is an integer of the asset's smallest unit, positive where what the account is owed grows: a viewer who pays
500 from a wallet gives the legs wallet -500, platform_fee 50, earnings_pending 450.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from shared.errors import Invalid, Unbalanced

#: The first word of an account's code; the table `ledger_kind` says how each is kept.
Kind = Literal[
    "wallet",
    "earnings_pending",
    "earnings",
    "payout_in_transit",
    "receivable",
    "platform_fee",
    "cash",
    "rail_fee",
    "external",
    "giftcards",
    "promotions",
    "tax",
    "refunds_clearing",
]
Model = Literal["tvod", "metered", "tip", "svod", "avod", "token"]
HoldState = Literal["open", "captured", "voided", "expired"]

#: Amounts have fewer digits than this.
DIGITS = 39
#: Postings in one page of an account's history.
PAGE = 50
_OWNER = re.compile(r"[A-Za-z0-9_-]+\Z")


class Leg(msgspec.Struct, frozen=True):
    """What a movement does to one account."""

    account: str
    asset: str
    amount: int


class Stamps(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every posting of a movement says besides its amount; what is not written then is never known again."""

    seller: str | None = None
    scope: str | None = None
    model: Model | None = None
    legal_entity: str | None = None
    fee_bp: int | None = None
    value_version: int | None = None
    provider_ref: str | None = None


class Event(msgspec.Struct, frozen=True):
    """An event told with a movement; the id of the movement is added to its data as `txn`."""

    type: str
    subject: str
    data: dict[str, Any] = {}


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be booked once, under `key`; `reverses` names the movement it takes back."""

    key: str
    kind: str
    legs: Sequence[Leg]
    stamps: Stamps = Stamps()
    reverses: int | None = None
    events: Sequence[Event] = ()

    @property
    def hash(self) -> bytes:
        """What makes a second movement with the same key the same one. Events are told of it and are no part of it."""
        return hash_of(self.kind, self.legs, self.stamps, self.reverses)


class Posted(msgspec.Struct, frozen=True):
    """The movement as booked; `replayed`: it was before, by another call with its key."""

    txn: int
    replayed: bool


class Held(msgspec.Struct, frozen=True):
    """An amount set aside; `replayed`: it was before, by another call with its key."""

    hold: str
    replayed: bool


class HoldOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be set aside once, under `key`."""

    key: str
    account: str
    asset: str
    amount: int
    expires_at: datetime

    @property
    def hash(self) -> bytes:
        """What makes a second order with the same key the same one; when it ends may differ."""
        return hash_of(self.account, self.asset, self.amount)


class HoldRow(msgspec.Struct, frozen=True, kw_only=True):
    """A hold as it stands."""

    id: str
    account: str
    asset: str
    amount: int
    captured: int
    state: HoldState
    txn: int | None
    expires_at: datetime


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """An account in one asset. `held` of it is set aside. `id` is the row's."""

    id: int
    account: str
    asset: str
    balance: int
    held: int

    @property
    def free(self) -> int:
        """What may be spent."""
        return self.balance - self.held


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """One leg as booked, with the movement it is of."""

    id: int
    txn: int
    kind: str
    at: datetime
    account: str
    asset: str
    amount: int
    stamps: Stamps


class Page(msgspec.Struct, frozen=True):
    """Postings of an account, the newest first; `next` is the cursor of those after them, None at the end."""

    items: list[Posting]
    next: int | None


class Txn(msgspec.Struct, frozen=True, kw_only=True):
    """A movement as booked, with its postings in their order."""

    id: int
    key: str
    kind: str
    reverses: int | None
    at: datetime
    postings: list[Posting]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Something the ledger keeps that its postings do not bear out."""

    what: Literal["balance", "held", "snapshot", "captured", "asset", "txn"]
    where: str
    asset: str
    kept: int
    derived: int


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """All balances derived anew: how much was looked at, and what differs."""

    accounts: int
    txns: int
    postings: int
    differences: list[Difference]


class Ledger(Protocol):
    """What the actions ask of storage."""

    async def post(self, movement: Movement) -> Posted: ...
    async def hold(self, id: str, order: HoldOrder) -> Held: ...
    async def capture(self, hold: str, movement: Movement, now: datetime) -> Posted: ...
    async def void(self, hold: str, now: datetime) -> bool: ...
    async def expire(self, now: datetime, limit: int) -> int: ...
    async def held(self, hold: str) -> HoldRow | None: ...
    async def balances(self, account: str) -> list[Balance]: ...
    async def history(self, account: int, before: int | None, limit: int) -> list[Posting]: ...
    async def txn(self, id: int) -> Txn | None: ...
    async def txn_named(self, key: str) -> Txn | None: ...
    async def last_posting(self) -> int | None: ...
    async def snapshot(self, posting: int) -> int: ...
    async def audit(self) -> Audit: ...


def account(kind: Kind, *owners: str) -> str:
    """The code of an account: `wallet:usr_…`, `external:stripe:slr_…`, `platform_fee`."""
    if wrong := [owner for owner in owners if not _OWNER.match(owner)]:
        raise Invalid(f"{wrong[0]!r} cannot be part of an account's code.")
    return ":".join((kind, *owners))


def check(movement: Movement) -> Movement:
    """The movement, if it may be booked.

    Raises Invalid for an amount that is no integer or has too many digits, Unbalanced for legs that are none or do not
    add up to zero in each asset.
    """
    sums: dict[str, int] = {}
    for leg in movement.legs:
        _whole(leg.amount)
        sums[leg.asset] = sums.get(leg.asset, 0) + leg.amount
    if not any(leg.amount for leg in movement.legs):
        raise Unbalanced(f"There is nothing to book for {movement.kind}.", kind=movement.kind)
    if wrong := sorted(asset for asset, total in sums.items() if total):
        raise Unbalanced(f"The legs of {movement.kind} do not add up to zero in {wrong[0]}.", kind=movement.kind)
    return movement


def check_order(order: HoldOrder) -> HoldOrder:
    """The order, if it may be held. Raises Invalid for an amount that is not above zero."""
    _whole(order.amount)
    if order.amount <= 0:
        raise Invalid("Only an amount above zero can be set aside.")
    return order


def hash_of(*parts: object) -> bytes:
    """The SHA-256 of values as JSON."""
    return hashlib.sha256(msgspec.json.encode(parts)).digest()


def _whole(amount: object) -> None:
    # A bool is an int to Python and no amount.
    if type(amount) is not int or abs(amount) >= 10**DIGITS:
        raise Invalid(f"{amount!r:.60} is no amount: expected an integer of fewer than {DIGITS + 1} digits.")
