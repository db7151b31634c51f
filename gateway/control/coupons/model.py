"""Coupons as values: what they take off which price, and whether one may be used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

from shared.clock import Clock
from shared.errors import Conflict, Invalid, NotFound
from shared.money import Money

Kind = Literal["percent", "amount"]
#: `$` alone would let one newline pass at the end.
Code = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{2,31}$(?!\n)")]
Moment = Annotated[datetime, Meta(tz=True)]


class Coupon(msgspec.Struct, frozen=True, kw_only=True):
    """A coupon as it is stored. `bp`: basis points off; `amount`: so much off, in `currency`. No scope: all titles."""

    id: str
    seller: str
    scope: str | None = None
    code: str
    kind: Kind
    bp: int | None = None
    amount: int | None = None
    currency: str | None = None
    uses_max: int | None = None
    per_viewer: int = 1
    used: int = 0
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    active: bool = True
    created_at: datetime


class NewCoupon(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What makes a coupon: `percent` off, or `amount` off in `currency`. No `title`: for all titles of the seller."""

    code: Code
    percent: Annotated[int, Meta(ge=1, le=100)] | None = None
    amount: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    currency: str | None = None
    title: str | None = None
    uses_max: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    per_viewer: Annotated[int, Meta(ge=1, le=1000)] = 1
    starts_at: Moment | None = None
    ends_at: Moment | None = None


class Uses(msgspec.Struct, frozen=True, kw_only=True):
    """How often somebody used a coupon; `open`: the scopes for which they have yet to pay what used it."""

    count: int = 0
    open: Sequence[str] = ()


class Coupons(msgspec.Struct, frozen=True):
    """A seller's coupons, the newest first."""

    items: list[Coupon]


class CouponRows(Protocol):
    """What the actions ask of storage."""

    async def add(self, coupon: Coupon) -> bool: ...
    async def find(self, seller: str, code: str) -> Coupon | None: ...
    async def of_seller(self, seller: str) -> list[Coupon]: ...
    async def retire(self, seller: str, code: str) -> Coupon | None: ...
    async def hold(self, coupons: Sequence[str]) -> None: ...
    async def count_up(self, coupon: str) -> Coupon | None: ...
    async def use(self, coupon: Coupon, *, principal: str, purchase: str, at: datetime) -> bool: ...
    async def use_again(self, coupon: str, *, principal: str, purchase: str, at: datetime) -> bool: ...
    async def used_by(self, coupon: str, principal: str) -> Uses: ...
    async def release(self, purchase: str) -> bool: ...


class Currencies(Protocol):
    """Knows what is booked here; offers provides it."""

    async def is_fiat(self, currency: str) -> bool: ...


class Priced(Protocol):
    """What a coupon is used on."""

    @property
    def scope(self) -> str: ...
    @property
    def seller(self) -> str: ...
    @property
    def amount(self) -> int: ...
    @property
    def currency(self) -> str: ...


def fold(code: str) -> str:
    """The form on which codes are unique: any case of letters is the same."""
    return code.strip().upper()


def check_new(new: NewCoupon) -> None:
    """Raises Invalid for a coupon that takes nothing off, or two things, or ends before it starts."""
    if (new.percent is None) == (new.amount is None):
        raise Invalid("A coupon takes off either a percentage or an amount: send one of percent and amount.")
    if (new.amount is None) != (new.currency is None):
        raise Invalid("currency goes with amount: send both or neither.")
    if new.starts_at is not None and new.ends_at is not None and new.ends_at <= new.starts_at:
        raise Invalid("The end has to be later than the start.")


def check(coupon: Coupon, priced: Priced, clock: Clock) -> None:
    """Raises what stands in the way of using a coupon on something, besides how often it was used by whom.

    NotFound (another seller's, or for another title), Conflict with code `coupon-over` or `coupon-currency`.
    """
    now = clock.now()
    if coupon.seller != priced.seller or coupon.scope not in (None, priced.scope):
        raise NotFound("There is no such coupon for this title.", code="coupon-unknown")
    if not coupon.active or (coupon.ends_at is not None and coupon.ends_at <= now):
        raise Conflict("This coupon is over.", code="coupon-over")
    if coupon.starts_at is not None and now < coupon.starts_at:
        raise Conflict("This coupon is not good yet.", code="coupon-early")
    if coupon.currency not in (None, priced.currency):
        raise Conflict(f"This coupon is for prices in {coupon.currency}.", code="coupon-currency")


def check_uses(coupon: Coupon, uses: Uses, priced: Priced) -> None:
    """Raises what claiming a coupon now would raise: Conflict with code `coupon-used-up` or `coupon-used`.

    Who pays for a scope anew gives back first what their open payment for it uses.
    """
    held = int(priced.scope in uses.open)
    if coupon.uses_max is not None and coupon.used - held >= coupon.uses_max:
        raise used_up()
    if uses.count - held >= coupon.per_viewer:
        raise used_before()


def used_up() -> Conflict:
    """Nobody may use it any more."""
    return Conflict("This coupon is used up.", code="coupon-used-up")


def used_before() -> Conflict:
    """Who asks for it may not use it once more."""
    return Conflict("You have used this coupon already.", code="coupon-used")


def taken_off(coupon: Coupon, price: Money) -> int:
    """How much a coupon takes off, in the price's smallest unit: rounded down, and never more than the price."""
    if coupon.bp is not None:
        return price.amount_minor * coupon.bp // 10_000
    return min(coupon.amount or 0, price.amount_minor)
