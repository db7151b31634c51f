"""What titles cost: the price on a title's card and its offers say the same, and a price by card brings something."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from gateway.control.auth import Principal
from gateway.control.catalogue.model import Title, Titles
from gateway.control.db import Begin
from gateway.control.offers.model import CardPrice, Offer, OfferRows, by_card, shelf_price
from gateway.control.outbox import Outbox
from gateway.control.payments.providers.open import Providers
from gateway.control.portal.model import PortalRows
from shared import money
from shared.clock import Clock
from shared.errors import Conflict, Invalid
from shared.ids import new_id

#: Offers whose window is looked at in one go.
AT_ONCE = 100


class Stores(Protocol):
    """What writing offers takes of a transaction."""

    @property
    def offers(self) -> OfferRows: ...
    @property
    def catalogue(self) -> Titles: ...
    @property
    def portal(self) -> PortalRows: ...
    @property
    def outbox(self) -> Outbox: ...


async def follow(
    title: Title,
    *,
    was: Title | None,
    by: Principal,
    place: str,
    accept_loss: bool,
    unit: Stores,
    providers: Providers,
    clock: Clock,
) -> None:
    """The title's price was set: the offer to own it says the same, alone, and 0 retires all that costs something.

    `was`: the title before, None for a new one. A price that is what it was makes no offer, and a currency alone goes
    to the offer to own it. Raises Conflict with code `nets-below-zero` as `create`, and Invalid for the currency of a
    price that is another offer's.
    """
    before = was or msgspec.structs.replace(title, price_minor=0)
    wanted = (title.price_minor, title.currency)
    if wanted == (before.price_minor, before.currency):
        return
    now, offers = clock.now(), await unit.offers.of_scope(title.id)
    own = sorted(
        (one for one in offers if one.kind == "own" and one.standing),
        key=lambda one: (one.currency != before.currency, one.amount),
    )
    standing = own[0] if own else None
    if title.price_minor == before.price_minor and (standing is None or not title.price_minor):
        await _check_bare(title, offers, unit=unit, now=now)
        return
    others = [one for one in own[1:] if one.currency in (before.currency, title.currency)]
    free = [one for one in offers if one.kind == "free" and one.standing]
    over = free + others if title.price_minor else [one for one in offers if one.amount]
    is_new = title.price_minor > 0 and (standing is None or (standing.amount, standing.currency) != wanted)
    if is_new:
        await check_card(*wanted, accept_loss=accept_loss, unit=unit, providers=providers)
    for old in over:
        await keep(old, {"active": False}, by=by, place=place, unit=unit, now=now)
    if is_new:
        await _own_at_price(title, standing, by=by, place=place, unit=unit, now=now)
    await unit.outbox.emit("offer.changed", title.id, scope=title.id, seller=title.seller)


async def turn_windows(*, begin: Begin[Stores], clock: Clock) -> bool:
    """Show the prices of titles with an offer that began or ended; whether there may be more of them."""
    now = clock.now()
    async with begin() as unit:
        due = await unit.offers.due(now, AT_ONCE)
    for scope in dict.fromkeys(due):
        async with begin() as unit:
            title = await unit.catalogue.by_id(scope, lock=True)
            if title is not None and await show_price(title, unit=unit, now=now):
                await unit.outbox.emit("offer.changed", title.id, scope=title.id, seller=title.seller)
            await unit.offers.looked_at(scope, now)
    return len(due) == AT_ONCE


async def quote(amount: int, currency: str, *, unit: Stores, providers: Providers) -> CardPrice:
    """What becomes of a price that is paid by card, by the price list of the first provider that takes the currency.

    Raises Invalid for a currency that is not booked here.
    """
    await _require_fiat(currency, unit.offers)
    rail = next((one for one in providers.rails if not one.currencies or currency in one.currencies), None)
    kept = providers.named(rail.provider).quote(amount, currency).fee if rail else 0
    return by_card(amount, currency, fee_bp=(await unit.portal.read()).fee_bp, provider_fee=kept)


async def check_card(amount: int, currency: str, *, accept_loss: bool, unit: Stores, providers: Providers) -> None:
    """Raises Conflict with code `nets-below-zero` for a price by card that costs more than it brings, and Invalid."""
    card = await quote(amount, currency, unit=unit, providers=providers)
    if card.net < 0 and not accept_loss:
        raise Conflict(
            f"{card.warning} Send accept_loss to save it all the same.",
            code="nets-below-zero",
            by_card=msgspec.to_builtins(card),
        )


async def show_price(title: Title, *, unit: Stores, now: datetime, was_free: bool = False) -> bool:
    """Whether the price on the title's card changed. What `was_free` for good costs what it cost before, if it did."""
    shown = shelf_price(await unit.offers.of_scope(title.id), now, currency=title.currency)
    if shown is None and was_free:
        shown = await unit.offers.last_price(title.id)
    if shown is None or (shown.amount_minor, shown.currency) == (title.price_minor, title.currency):
        return False
    await unit.catalogue.update(title.id, {"price_minor": shown.amount_minor, "currency": shown.currency})
    return True


async def keep(
    old: Offer, fields: dict[str, object], *, by: Principal, place: str, unit: Stores, now: datetime
) -> Offer:
    """The next version of an offer, kept and on record; what the title shows is not looked at."""
    new = msgspec.structs.replace(old, **fields, version=old.version + 1)
    await unit.offers.replace(new, actor=by.id, at=now)
    await unit.outbox.audit(by.id, "offer:change", old.id, before=said(old), after=said(new), place=place)
    return new


def said(offer: Offer) -> dict[str, object]:
    """What the record says of an offer."""
    names = ("amount", "currency", "version", "starts_at", "ends_at", "active")
    return {name: msgspec.to_builtins(getattr(offer, name)) for name in names}


async def _own_at_price(
    title: Title, standing: Offer | None, *, by: Principal, place: str, unit: Stores, now: datetime
) -> None:
    if standing is not None:
        fields: dict[str, object] = {"amount": title.price_minor, "currency": title.currency}
        await keep(standing, fields, by=by, place=place, unit=unit, now=now)
        return
    offer = Offer(
        id=new_id("off"),
        scope=title.id,
        seller=title.seller,
        kind="own",
        amount=title.price_minor,
        currency=title.currency,
        created_at=now,
    )
    await unit.offers.add(offer, actor=by.id)


async def _check_bare(title: Title, offers: list[Offer], *, unit: Stores, now: datetime) -> None:
    """Raises Invalid for the currency of a title whose price is that of another offer than to own it for good."""
    if not title.price_minor:
        return
    if any(one.costs_at(now) for one in offers):
        words = "This title is not sold for good: change the currency of its offers, or set another price."
        raise Invalid(words, code="offer-priced")
    await _require_fiat(title.currency, unit.offers)


async def _require_fiat(currency: str, offers: OfferRows) -> None:
    money.decimals(currency)
    if not await offers.is_fiat(currency):
        raise Invalid(f"Nothing is sold in {currency} here.", code="currency-unknown")
