"""What is done with offers: make, change, retire, show to a viewer, and find the one that somebody buys."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from gateway.control.auth import Principal, require
from gateway.control.catalogue import actions as catalogue
from gateway.control.catalogue.model import CONTAINERS, Title, Titles
from gateway.control.coupons.model import Coupon, CouponRows, Uses, check_uses
from gateway.control.coupons.model import fold as fold_code
from gateway.control.entitlements.model import Admission
from gateway.control.offers.model import (
    MOST,
    NewOffer,
    Offer,
    OfferChange,
    OfferList,
    OfferRows,
    OfferView,
    Price,
    Wanted,
    check_shape,
    met,
    price,
    replaced_by,
)
from gateway.control.offers.prices import Stores, check_card, keep, said, show_price
from gateway.control.paging import check_moment
from gateway.control.payments.providers.open import Providers
from gateway.control.wallet.model import told
from shared import money
from shared.clock import Clock
from shared.errors import Conflict, Invalid, NotFound, PriceChanged, Refused
from shared.ids import new_id

NO_OFFER = "There is no such offer of this title."
NO_COUPON = "There is no such coupon for this title."


class Shelf(Protocol):
    """What finding an offer takes of a transaction."""

    @property
    def offers(self) -> OfferRows: ...
    @property
    def coupons(self) -> CouponRows: ...


async def create(ref: str, new: NewOffer, *, by: Principal, unit: Stores, providers: Providers, clock: Clock) -> Offer:
    """A new offer of a title, a season or a series. Raises NotFound, Forbidden, Invalid, or Conflict.

    Conflict with code `nets-below-zero` where a payment by card costs more than it brings and that is not accepted,
    and `too-many-offers`.
    """
    title = await catalogue.to_change(ref, "offer:write", by=by, titles=unit.catalogue)
    check_shape(new.kind, new.amount, hours=new.hours, window=(new.starts_at, new.ends_at))
    if new.kind == "view" and title.kind in CONTAINERS:
        raise Invalid(f"A {title.kind} cannot be offered for one view; its episodes can.")
    currency = new.currency or title.currency
    _check_window(new.starts_at, new.ends_at)
    await check_card(new.amount, currency, accept_loss=new.accept_loss, unit=unit, providers=providers)
    if len(await unit.offers.of_scope(title.id)) >= MOST:
        raise Conflict(f"A title has {MOST} offers at most; retire one first.", code="too-many-offers")
    offer = Offer(
        id=new_id("off"),
        scope=title.id,
        seller=title.seller,
        kind=new.kind,
        hours=new.hours,
        amount=new.amount,
        currency=currency,
        starts_at=new.starts_at,
        ends_at=new.ends_at,
        created_at=clock.now(),
    )
    await unit.offers.add(offer, actor=by.id)
    await unit.outbox.audit(by.id, "offer:create", offer.id, after=said(offer), place=by.place)
    await _changed(offer, title, unit=unit, now=clock.now())
    return offer


async def change(
    ref: str,
    offer: str,
    wanted: OfferChange,
    *,
    by: Principal,
    place: str,
    unit: Stores,
    providers: Providers,
    clock: Clock,
) -> Offer:
    """The next version of an offer. Raises as `create`, and Conflict when another version came before."""
    title, old = await _held(ref, offer, by=by, unit=unit)
    if old.version != wanted.version:
        raise Conflict(f"This offer is at version {old.version} by now; look at it first.", code="stale-version")
    check_shape(old.kind, wanted.amount, hours=old.hours, window=(wanted.starts_at, wanted.ends_at))
    _check_window(wanted.starts_at, wanted.ends_at)
    await check_card(wanted.amount, wanted.currency, accept_loss=wanted.accept_loss, unit=unit, providers=providers)
    fields = {name: getattr(wanted, name) for name in ("amount", "currency", "starts_at", "ends_at")}
    return await _replace(old, title, fields, by=by, place=place, unit=unit, clock=clock)


async def retire(ref: str, offer: str, *, by: Principal, place: str, unit: Stores, clock: Clock) -> None:
    """Take an offer back; what was bought by it stays. Raises NotFound, Forbidden."""
    title, old = await _held(ref, offer, by=by, unit=unit)
    await _replace(old, title, {"active": False}, by=by, place=place, unit=unit, clock=clock)


async def history(ref: str, *, by: Principal, titles: Titles, offers: OfferRows) -> list[Offer]:
    """All offers of a title, for those who sell it."""
    title = await catalogue.find(ref, by=by, titles=titles)
    require(by, "offer:read", title)
    return await offers.history(title.id, MOST)


async def show(
    title: Title,
    admission: Admission,
    *,
    viewer: Principal | None,
    code: str,
    display: str,
    unit: Shelf,
    clock: Clock,
) -> OfferList:
    """What a viewer meets: each offer with the price they pay, by the coupon they named if they may use it on that.

    `display`: the currency they are told prices in besides.
    """
    now = clock.now()
    found = [one for one in met(await unit.offers.around(title.id, now), now) if one.amount]
    coupon, uses = await _brought(code, title.seller, by=viewer, coupons=unit.coupons)
    refused = NO_COUPON if code and coupon is None else ""
    items = []
    for offer in found:
        paid, why = _charged(offer, coupon, uses, clock=clock)
        refused = why or refused
        items.append(
            OfferView(
                id=offer.id,
                version=offer.version,
                scope=offer.scope,
                kind=offer.kind,
                hours=offer.hours,
                price=paid,
                shown=told(paid.amount, paid.currency, display),
                ends_at=offer.ends_at,
            )
        )
    if any(item.price.discount for item in items):
        refused = ""
    items.sort(key=lambda item: (item.price.amount, item.id))
    return OfferList(
        items=items,
        allow=admission.decision.allow,
        reason=admission.decision.reason,
        until=admission.until,
        begun=admission.right is None or admission.right.began,
        coupon_refused=refused,
    )


async def find(scope: str, wanted: Wanted, *, by: Principal, unit: Shelf, clock: Clock) -> Offer:
    """The offer that somebody saw and buys; nobody changes it until the transaction ends.

    Raises NotFound, PriceChanged when it says something else by now or a cheaper one took its place
    (`details["offer"]`: what they would pay for that one), and Conflict with code `offer-over` when there is none left.
    """
    found = await unit.offers.by_id(wanted.offer)
    if found is None or found.scope != scope or found.kind == "free":
        raise NotFound(NO_OFFER)
    current = replaced_by(found, await unit.offers.of_scope(scope), clock.now())
    if current is None:
        raise Conflict("This offer is over.", code="offer-over")
    if (current.id, current.version) != (found.id, wanted.version):
        coupon, uses = await _brought(wanted.coupon or "", current.seller, by=by, coupons=unit.coupons)
        paid, _ = _charged(current, coupon, uses, clock=clock)
        words = f"It costs {money.Money(paid.amount, paid.currency)} by now."
        raise PriceChanged(words, offer=msgspec.to_builtins(paid))
    return found


async def coupon_for(code: str, offer: Offer, *, coupons: CouponRows) -> Coupon | None:
    """The coupon that a buyer named, None where they named none. Raises NotFound; `price` says if it is good."""
    if not code:
        return None
    found = await coupons.find(offer.seller, fold_code(code))
    if found is None:
        raise NotFound(NO_COUPON, code="coupon-unknown")
    return found


async def _brought(code: str, seller: str, *, by: Principal | None, coupons: CouponRows) -> tuple[Coupon | None, Uses]:
    """The coupon that somebody named, if the seller has it, and how they used it."""
    found = await coupons.find(seller, fold_code(code)) if code else None
    return found, await coupons.used_by(found.id, by.id) if found and by else Uses()


def _charged(offer: Offer, coupon: Coupon | None, uses: Uses, *, clock: Clock) -> tuple[Price, str]:
    """What an offer costs who brings a coupon; and why that takes nothing off, if so."""
    try:
        paid = price(offer, coupon, clock)
        if coupon is not None:
            check_uses(coupon, uses, offer)
    except Refused as error:
        return price(offer, None, clock), str(error)
    return paid, ""


async def _held(ref: str, offer: str, *, by: Principal, unit: Stores) -> tuple[Title, Offer]:
    """An active offer; the title's row is held, so that its offers are changed one after the other."""
    title = await catalogue.to_change(ref, "offer:write", by=by, titles=unit.catalogue)
    found = next((one for one in await unit.offers.of_scope(title.id) if one.id == offer), None)
    if found is None:
        raise NotFound(NO_OFFER)
    return title, found


async def _replace(
    old: Offer, title: Title, fields: dict[str, object], *, by: Principal, place: str, unit: Stores, clock: Clock
) -> Offer:
    new = await keep(old, fields, by=by, place=place, unit=unit, now=clock.now())
    was_free = old.kind == "free" and old.standing
    await _changed(new, title, unit=unit, now=clock.now(), was_free=was_free)
    return new


async def _changed(offer: Offer, title: Title, *, unit: Stores, now: datetime, was_free: bool = False) -> None:
    """The title shows its price; whoever keeps what it is offered for looks again."""
    await show_price(title, unit=unit, now=now, was_free=was_free)
    await unit.outbox.emit("offer.changed", offer.id, scope=title.id, seller=title.seller)


def _check_window(*window: datetime | None) -> None:
    for moment in window:
        if moment is not None:
            check_moment(moment)
