"""Accounts, payments and refunds as those who run the platform see them, and the ports the actions need."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from gateway.control.checkout.model import Kind, RefundState, State
from gateway.control.paging import EVER, Cursor
from gateway.control.sellers.model import Membership
from gateway.control.wallet.model import Pocket


class UserLine(msgspec.Struct, frozen=True, kw_only=True):
    """An account in a list. `roles` are those on the whole platform."""

    id: str
    username: str
    created_at: datetime
    roles: list[str]
    disabled: bool


class Users(msgspec.Struct, frozen=True):
    """Accounts by name; `next` is the cursor of those after them, null at the end."""

    items: list[UserLine]
    next: str | None


class UserRow(UserLine, frozen=True, kw_only=True):
    """An account as stored, and what is counted of it. `logins`: devices that are logged in."""

    email: str
    sub: str
    disabled_at: datetime | None
    disabled_reason: str
    logins: int
    last_seen: datetime | None
    purchases: int


class UserView(UserLine, frozen=True, kw_only=True):
    """An account. `logins`: devices that are logged in; `purchases`: what was paid, whatever became of it.

    `wallet` is null for who may not see payments.
    """

    email: str
    sellers: list[Membership]
    disabled_at: datetime | None
    disabled_reason: str
    logins: int
    last_seen: datetime | None
    purchases: int
    wallet: list[Pocket] | None


class ShuttingOut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an account is shut out, for those who ask later."""

    reason: Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]


class PaymentLine(msgspec.Struct, frozen=True, kw_only=True):
    """A payment in a list: a purchase or a top-up. Names are empty for accounts that are gone.

    `viewer` differs from `buyer` when it is a gift.
    """

    id: str
    kind: Kind
    state: State
    rail: str
    amount: int
    currency: str
    refunded: int
    disputed: int
    title: str | None
    title_name: str
    seller: str
    buyer: str
    buyer_id: str
    viewer: str
    created_at: datetime
    paid_at: datetime | None


class Payments(msgspec.Struct, frozen=True):
    """Payments, the newest first; `next` is the cursor of those before them, null at the end."""

    items: list[PaymentLine]
    next: str | None


class PaymentRow(PaymentLine, frozen=True, kw_only=True):
    """A payment as stored. `booked`: how many movements it has."""

    offer: str | None
    offer_version: int | None
    coupon: str | None
    provider_ref: str | None
    words: str
    legal_entity: str
    fee_bp: int
    rail_fee: int
    settle_at: datetime | None
    settled_at: datetime | None
    booked: int


class PartLine(msgspec.Struct, frozen=True, kw_only=True):
    """What one got of a payment, and what of it was taken back. `holder`: a seller or an account, by id.

    `name`: the seller's handle or the account's user name; empty for one that is gone, and for the platform.
    """

    kind: str
    holder: str
    name: str
    amount: int
    back: int


class PostingLine(msgspec.Struct, frozen=True, kw_only=True):
    """One leg of a movement of the ledger."""

    txn: int
    kind: str
    at: datetime
    account: str
    asset: str
    amount: int


class RefundLine(msgspec.Struct, frozen=True, kw_only=True):
    """Money given back: `asked` of its provider, `done`, or `failed` for good, `words` saying why."""

    id: str
    purchase: str
    amount: int
    currency: str
    state: RefundState
    reason: str
    words: str
    tries: int
    rail: str
    title_name: str
    buyer: str
    actor: str
    created_at: datetime
    done_at: datetime | None


class Refunds(msgspec.Struct, frozen=True):
    """Refunds, the newest first; `next` is the cursor of those before them, null at the end."""

    items: list[RefundLine]
    next: str | None


class BookedPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment with all that was booked for it, movement by movement."""

    payment: PaymentRow
    parts: list[PartLine]
    refunds: list[RefundLine]
    postings: list[PostingLine]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What payments are looked for by; None for any. From `since` on, and before `until`."""

    state: State | None = None
    rail: str | None = None
    title: str | None = None
    buyer: str | None = None
    since: datetime = EVER[0]
    until: datetime = EVER[1]


class OfficeRows(Protocol):
    """What the actions ask of storage."""

    async def users(self, prefix: str, *, after: str, limit: int) -> list[UserLine]: ...
    async def user(self, id: str, now: datetime) -> UserRow | None: ...
    async def disable(self, id: str, reason: str, at: datetime) -> bool: ...
    async def enable(self, id: str) -> bool: ...
    async def payments(self, wanted: Wanted, *, before: Cursor, limit: int) -> list[PaymentLine]: ...
    async def payment(self, id: str) -> PaymentRow | None: ...
    async def parts(self, payment: str) -> list[PartLine]: ...
    async def refunds_of(self, payment: str) -> list[RefundLine]: ...
    async def postings(self, keys: Sequence[str]) -> list[PostingLine]: ...
    async def refunds(self, state: RefundState | None, *, before: Cursor, limit: int) -> list[RefundLine]: ...


def keys_of(payment: PaymentRow, refunds: Sequence[RefundLine]) -> list[str]:
    """The keys of all movements of a payment (see `checkout.actions.books`)."""
    own = [f"{payment.id}:{number}" for number in range(1, payment.booked + 1)]
    return own + [f"{refund.id}:{step}" for refund in refunds for step in ("owed", "done")]
