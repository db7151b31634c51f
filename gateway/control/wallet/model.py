"""Wallets and earnings as values: balances, payments as they are shown, transfers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

from gateway.control import paging
from gateway.control.ledger.model import Balance, account
from gateway.control.wallet.withdrawals import Amount, Currency, Policy, Withdrawal
from shared.errors import Invalid
from shared.money import Money, decimals, to_json
from shared.rates import RATES_OF, shown

#: `gift_card`: put on a card; `redeemed`: brought in by one.
PaymentKind = Literal["purchase", "top_up", "refund", "dispute", "sent", "received", "gift_card", "redeemed"]

#: Units of a currency that a transfer moves at least.
TRANSFER_UNITS = 1
#: Payments a page.
PAGE = 50


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody paid (below zero) or got, as they are shown it. `other`: with whom, of a transfer."""

    principal: str
    kind: PaymentKind
    amount: int
    currency: str
    rail: str
    purchase: str | None = None
    title: str | None = None
    other: str | None = None
    txn: int | None = None
    at: datetime


class PaymentRow(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as stored, with the names people know; `term` and `hours` are those of the offer that was bought."""

    id: int
    kind: PaymentKind
    amount: int
    currency: str
    rail: str
    purchase: str | None
    title: str | None
    title_name: str | None
    term: str | None
    hours: int | None
    seller: str | None
    other: str | None
    at: datetime


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """About how much an amount is in the currency somebody reads; it is never booked. `rates_of`: of which day."""

    amount: int | str
    currency: str
    rates_of: str


class PaymentView(msgspec.Struct, frozen=True, kw_only=True):
    """A payment in a history: below zero what was paid, above what came in.

    `term` is the kind of offer that was bought, with the `hours` of a rental; `seller` the name of who sells it.
    """

    id: str
    kind: PaymentKind
    amount: int | str
    currency: str
    shown: Shown | None
    rail: str
    purchase: str | None
    title: str | None
    title_name: str | None
    term: str | None
    hours: int | None
    seller: str | None
    other: str | None
    at: datetime


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Payments, the newest first; `next` is the cursor of those before them, null at the end."""

    items: list[PaymentView]
    next: str | None


class Pocket(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet in one currency. `free` may be spent, the rest is held; `owed` is paid of what comes first."""

    currency: str
    balance: int | str
    free: int | str
    owed: int | str = 0
    shown: Shown | None


class Wallet(msgspec.Struct, frozen=True, kw_only=True):
    """All one has, by currency. `display`: the currency amounts are told in besides."""

    pockets: list[Pocket]
    display: str


class Earned(msgspec.Struct, frozen=True, kw_only=True):
    """A seller's money in one currency. `pending` becomes `available`; `owed` is paid of what comes first."""

    currency: str
    pending: int | str = 0
    available: int | str = 0
    in_transit: int | str = 0
    owed: int | str = 0
    shown: Shown | None = None


class Earnings(msgspec.Struct, frozen=True):
    """A seller's money, by currency."""

    items: list[Earned]


class TransferOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Gives money of one's wallet to another account."""

    to: Annotated[str, Meta(min_length=1, max_length=60, pattern=r"^[^\x00]*$")]
    amount: Amount
    currency: Currency


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer as booked; `txn` names it in the ledger."""

    txn: int
    to: str
    amount: int
    currency: str


class DisplayOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In which currency amounts are told besides their own; null: as the installation says."""

    currency: Currency | None


class Display(msgspec.Struct, frozen=True, kw_only=True):
    """The currency amounts are told in, and of which day the rates are."""

    currency: str
    rates_of: str


class Wallets(Protocol):
    """What the actions ask of storage."""

    async def tell(self, payment: Payment) -> None: ...
    async def payments(self, principal: str, before: int, limit: int) -> list[PaymentRow]: ...
    async def balances(self, codes: Sequence[str]) -> list[Balance]: ...
    async def display(self, principal: str) -> str | None: ...
    async def set_display(self, principal: str, currency: str | None) -> None: ...
    async def is_asset(self, currency: str) -> bool: ...
    async def policy(self, rail: str, currency: str) -> Policy | None: ...
    async def policies(self) -> list[Policy]: ...
    async def set_policy(self, policy: Policy, at: datetime) -> None: ...
    async def taken_unasked(self, seller: str, policy: Policy, since: datetime) -> int: ...
    async def add(self, withdrawal: Withdrawal, *, key: str, principal: str) -> bool: ...
    async def by_id(self, id: str, *, lock: bool = False) -> Withdrawal | None: ...
    async def put(self, withdrawal: Withdrawal, *, by: str) -> None: ...
    async def of_seller(self, seller: str, limit: int) -> list[Withdrawal]: ...
    async def waiting(self, limit: int) -> list[Withdrawal]: ...
    async def owing(self, withdrawals: Sequence[str]) -> dict[str, int]: ...
    async def hold(self, codes: Sequence[str], currency: str) -> None: ...


def check_transfer(amount: int, currency: str) -> None:
    """Raises Invalid for less than one unit of the currency."""
    least = TRANSFER_UNITS * 10 ** decimals(currency)
    if amount < least:
        raise Invalid(f"A transfer moves {Money(least, currency)} at least.", code="transfer-too-small")


def accounts_of(principal: str) -> list[str]:
    """The accounts that make a wallet."""
    return [account("wallet", principal), account("receivable", principal)]


def wallet_of(balances: Sequence[Balance], display: str) -> Wallet:
    """A wallet as its owner sees it."""
    kept = {one.asset: one for one in balances if one.account.startswith("wallet:")}
    owed = {one.asset: -one.balance for one in balances if one.account.startswith("receivable:")}
    pockets = list[Pocket]()
    for currency in sorted({*kept, *(asset for asset, amount in owed.items() if amount)}):
        one = kept.get(currency)
        pockets.append(
            Pocket(
                currency=currency,
                balance=to_json(one.balance if one else 0),
                free=to_json(one.free if one else 0),
                owed=to_json(owed.get(currency, 0)),
                shown=told(one.balance if one else 0, currency, display),
            )
        )
    return Wallet(pockets=pockets, display=display)


def earnings_of(balances: Sequence[Balance], display: str) -> Earnings:
    """A seller's accounts as one line a currency."""
    names = {"earnings_pending": "pending", "earnings": "available", "payout_in_transit": "in_transit"}
    found: dict[str, dict[str, int]] = {}
    for one in balances:
        line = found.setdefault(one.asset, {})
        kind = one.account.partition(":")[0]
        if kind in names:
            line[names[kind]] = one.balance
        else:
            line["owed"] = -one.balance
    return Earnings(
        [
            Earned(
                currency=currency,
                **{name: to_json(amount) for name, amount in line.items()},
                shown=told(line.get("available", 0), currency, display),
            )
            for currency, line in sorted(found.items())
        ]
    )


def payment_view(row: PaymentRow, display: str) -> PaymentView:
    """A payment as its owner sees it."""
    return PaymentView(
        id=encode_cursor(row.id),
        kind=row.kind,
        amount=to_json(row.amount),
        currency=row.currency,
        shown=told(row.amount, row.currency, display),
        rail=row.rail,
        purchase=row.purchase,
        title=row.title,
        title_name=row.title_name,
        term=row.term,
        hours=row.hours,
        seller=row.seller,
        other=row.other,
        at=row.at,
    )


def told(amount: int, currency: str, display: str) -> Shown | None:
    """An amount in the currency somebody reads; None where it is its own, or one of the two has no rate."""
    found = shown(Money(amount, currency), display) if currency != display else None
    return Shown(amount=to_json(found.amount_minor), currency=display, rates_of=RATES_OF) if found else None


def encode_cursor(id: int) -> str:
    """Where a page ends, as the opaque text clients hand back."""
    return paging.encode(id.to_bytes(8, "big"))


def decode_cursor(text: str) -> int:
    """The payment a page starts before; past all of them for none. Raises Invalid for what no page gave."""
    if not text:
        return 2**63 - 1
    data = paging.decode(text)
    if len(data) != 8 or data[0] > 127:
        raise paging.not_ours()
    return int.from_bytes(data, "big")
