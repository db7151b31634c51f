"""Offers as values: what they cost, when they stand, which of them a viewer meets, and what they are worth by card.

Amounts are integers of the currency's smallest unit. A scope is what a right is for: the id of a title, a season or a
series.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

from gateway.control.coupons.model import Coupon, check, taken_off
from gateway.control.wallet.model import Shown
from shared.clock import Clock
from shared.errors import Invalid
from shared.money import Money, fee_minor

Kind = Literal["free", "view", "rent", "own"]
#: For how many hours from the first play a title is rented.
HOURS = (24, 36, 72)
#: Offers of one scope, whatever became of them.
MOST = 200
Moment = Annotated[datetime, Meta(tz=True)]
Amount = Annotated[int, Meta(ge=0, le=10**12)]


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A way to get a scope. `version` counts its changes: a buyer names the one they saw.

    Open from `starts_at` until before `ends_at`; without them it always was, and stays.
    """

    id: str
    scope: str
    seller: str
    kind: Kind
    hours: int | None = None
    amount: int
    currency: str
    version: int = 1
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    active: bool = True
    created_at: datetime

    def is_open(self, now: datetime) -> bool:
        """Whether it may be taken now."""
        return (
            self.active
            and (self.starts_at is None or self.starts_at <= now)
            and (self.ends_at is None or now < self.ends_at)
        )

    def costs_at(self, now: datetime) -> bool:
        """Whether it is sold for money, now or later."""
        return self.active and self.amount > 0 and (self.ends_at is None or now < self.ends_at)

    @property
    def standing(self) -> bool:
        """Whether it is no sale for a time, but the offer behind it."""
        return self.active and self.starts_at is None and self.ends_at is None


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer pays for an offer: `amount` = `full` - `discount`; `coupon` is the id of what took that off."""

    offer: str
    version: int
    amount: int
    currency: str
    full: int
    discount: int = 0
    coupon: str | None = None


class NewOffer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What makes an offer. Without a currency it is the title's. `hours` goes with kind rent.

    `accept_loss`: save it though a payment by card would cost more than it brings.
    """

    kind: Kind
    amount: Amount = 0
    currency: str | None = None
    hours: Literal[24, 36, 72] | None = None
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    accept_loss: bool = False


class OfferChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an offer says from now on, all of it; `version` is the one that is to be replaced."""

    version: int
    amount: Amount = 0
    currency: str
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    accept_loss: bool = False


class Wanted(Protocol):
    """What a buyer saw and wants: an offer in a version, and the coupon they named."""

    @property
    def offer(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def coupon(self) -> str | None: ...


class CardPrice(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a price that is paid by card: what the provider keeps, what the platform, what the seller gets.

    `net` is what is left once the provider took its part; below zero a sale costs more than it brings. `warning` says
    so in words.
    """

    amount: int
    currency: str
    provider_fee: int
    platform_fee: int
    seller_share: int
    net: int
    warning: str = ""


class OfferView(msgspec.Struct, frozen=True, kw_only=True):
    """An offer as a viewer meets it: `price` is what this viewer pays, with the coupon they named.

    `shown`: about how much that is in the currency they read. `ends_at`: until when it is to be had.
    """

    id: str
    version: int
    scope: str
    kind: Kind
    hours: int | None
    price: Price
    shown: Shown | None
    ends_at: datetime | None


class OfferList(msgspec.Struct, frozen=True, kw_only=True):
    """What a title is to be had for, the cheapest way first: itself, or the season or series it lies in (`scope`).

    `allow`, `reason`, `until`: whether one may watch anyway. `begun`: the time of what was rented, or bought for one
    view, runs; before that `until` is when it would be over if it began now. `coupon_refused` says in words why the
    coupon that was named takes nothing off.
    """

    items: list[OfferView]
    allow: bool
    reason: str
    until: datetime | None = None
    begun: bool = True
    coupon_refused: str = ""


class SellerOffers(msgspec.Struct, frozen=True):
    """All offers of a title, the newest first, as its seller sees them."""

    items: list[Offer]


class OfferRows(Protocol):
    """What the actions ask of storage."""

    async def add(self, offer: Offer, *, actor: str) -> None: ...
    async def replace(self, offer: Offer, *, actor: str, at: datetime) -> None: ...
    async def by_id(self, id: str) -> Offer | None: ...
    async def of_scope(self, scope: str) -> list[Offer]: ...
    async def around(self, title: str, now: datetime) -> list[Offer]: ...
    async def history(self, scope: str, limit: int) -> list[Offer]: ...
    async def last_price(self, scope: str) -> Money | None: ...
    async def due(self, now: datetime, limit: int) -> list[str]: ...
    async def looked_at(self, scope: str, now: datetime) -> None: ...
    async def is_fiat(self, currency: str) -> bool: ...


def check_shape(kind: Kind, amount: int, *, hours: int | None, window: tuple[datetime | None, datetime | None]) -> None:
    """Raises Invalid for an offer that says two things: hours without a rent, free with a price, and the reverse."""
    if (kind == "rent") != (hours is not None):
        raise Invalid("hours is 24, 36 or 72 for kind rent, and left out for every other.")
    if (kind == "free") != (amount == 0):
        raise Invalid("An offer of kind free has amount 0, every other an amount above 0.")
    start, end = window
    if start is not None and end is not None and end <= start:
        raise Invalid("The end has to be later than the start.")


def price(offer: Offer, coupon: Coupon | None, clock: Clock) -> Price:
    """What a buyer pays. Raises what stands in the way of the coupon (`coupons.model.check`).

    How often the coupon was used, and by whom, is told apart (`coupons.model.check_uses`).
    """
    discount = 0
    if coupon is not None:
        check(coupon, offer, clock)
        discount = taken_off(coupon, Money(offer.amount, offer.currency))
    return Price(
        offer=offer.id,
        version=offer.version,
        amount=offer.amount - discount,
        currency=offer.currency,
        full=offer.amount,
        discount=discount,
        coupon=coupon.id if coupon is not None else None,
    )


def met(offers: Iterable[Offer], now: datetime) -> list[Offer]:
    """The offers that a viewer meets now: of those for the same thing in the same currency the cheapest.

    The cheapest stands first. Of equal prices the older offer is met.
    """
    best: dict[tuple[str, int | None, str, str], Offer] = {}
    for offer in sorted(offers, key=lambda one: (one.amount, one.created_at, one.id)):
        if offer.is_open(now):
            best.setdefault((offer.kind, offer.hours, offer.currency, offer.scope), offer)
    return list(best.values())


def replaced_by(old: Offer, offers: Iterable[Offer], now: datetime) -> Offer | None:
    """What a viewer meets now in place of `old`: itself, a cheaper one for the same, or nothing."""
    same = (one for one in offers if (one.scope, one.kind, one.hours) == (old.scope, old.kind, old.hours))
    found = met(same, now)
    return next((one for one in found if one.currency == old.currency), found[0] if found else None)


def shelf_price(offers: Sequence[Offer], now: datetime, *, currency: str) -> Money | None:
    """The price a title is shown with: to own it for good, else the cheapest; 0 where it is free for good.

    What lasts comes before what is for a time, what may be taken now before what is to come, and the title's `currency`
    before others. None where nothing is offered: the title keeps the price it had, and is not free by that.
    """
    if any(one.kind == "free" and one.standing for one in offers):
        return Money(0, next(one.currency for one in offers if one.kind == "free" and one.standing))

    def rank(one: Offer) -> tuple[bool, bool, bool, bool, int]:
        passing = not one.standing
        return one.kind != "own" or passing, passing, not one.is_open(now), one.currency != currency, one.amount

    first = min((one for one in offers if one.costs_at(now)), key=rank, default=None)
    return Money(first.amount, first.currency) if first else None


def by_card(amount: int, currency: str, *, fee_bp: int, provider_fee: int) -> CardPrice:
    """What becomes of a price that is paid by card, where the provider keeps `provider_fee` by its price list."""
    provider = provider_fee if amount else 0
    platform = fee_minor(amount, fee_bp)
    net, words = amount - provider, ""
    if net < 0:
        cost, loss = Money(provider, currency), Money(-net, currency)
        words = f"A payment of {Money(amount, currency)} by card costs about {cost}: each such sale loses {loss}."
    elif platform < provider:
        words = f"By card the provider keeps about {Money(provider, currency)} of it, more than the platform's fee."
    return CardPrice(
        amount=amount,
        currency=currency,
        provider_fee=provider,
        platform_fee=platform,
        seller_share=amount - platform,
        net=net,
        warning=words,
    )
