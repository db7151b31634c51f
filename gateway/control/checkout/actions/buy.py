"""Buying: agree on an offer and its price, then pay it from the wallet at once, or begin a payment at a provider."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec
from msgspec.structs import replace

from gateway.control.auth import Principal
from gateway.control.catalogue import actions as catalogue
from gateway.control.catalogue.model import Title, card
from gateway.control.checkout.actions import books, rights
from gateway.control.checkout.actions.hear import fail
from gateway.control.checkout.actions.stores import Shop, Stores
from gateway.control.checkout.model import OPEN, OPEN_FOR, WALLET, CheckoutOrder, Purchase, TopUpOrder
from gateway.control.coupons import actions as coupons
from gateway.control.coupons.model import Coupon
from gateway.control.entitlements import actions as entitlements
from gateway.control.offers import actions as offers
from gateway.control.offers.model import Offer, Price, price
from gateway.control.payees import actions as payees
from gateway.control.payments.providers.base import Order, Rail, Started, route
from gateway.control.referrals import actions as referrals
from shared import money
from shared.errors import Conflict, Invalid, Refused
from shared.ids import new_id


class Agreed(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer and the seller agree on."""

    title: Title
    viewer: Principal
    offer: Offer
    price: Price
    coupon: Coupon | None
    referrer: str | None


async def from_wallet(ref: str, order: CheckoutOrder, *, by: Principal, key: str, unit: Stores, shop: Shop) -> Purchase:
    """Buy and pay in one transaction. Raises PriceChanged, Insufficient, and what stands in the way of the right."""
    agreed = await _agree(ref, order, by=by, unit=unit, shop=shop)
    purchase = await _open(agreed, order, _wallet(shop), by=by, key=key, unit=unit, shop=shop)
    return await _pay(purchase, agreed, unit=unit, shop=shop)


async def by_provider(ref: str, order: CheckoutOrder, *, by: Principal, key: str, shop: Shop) -> Purchase:
    """Open a purchase that a provider is then asked for (`ask`); the one that is open already if it is the same.

    What a coupon makes free is bought at once, whoever might have served the payer. In a transaction of its own. Raises
    as `from_wallet`, and Invalid with code `no-provider`.
    """
    async with shop.begin() as unit:
        if (known := await unit.purchases.by_key(key)) is not None:
            return known
        agreed = await _agree(ref, order, by=by, unit=unit, shop=shop)
        if not agreed.price.amount:
            purchase = await _open(agreed, order, _wallet(shop), by=by, key=key, unit=unit, shop=shop)
            return await _pay(purchase, agreed, unit=unit, shop=shop)
        rail = choose(order.pay, order.country, currency=agreed.price.currency, shop=shop)
        same = await _same(agreed, rail, by=by, unit=unit, shop=shop)
        return same or await _open(agreed, order, rail, by=by, key=key, unit=unit, shop=shop)


async def top_up(order: TopUpOrder, *, by: Principal, key: str, shop: Shop) -> Purchase:
    """Open a payment onto the buyer's wallet; the same as before for a key that came before. Raises Invalid."""
    money.decimals(order.currency)
    rail = choose(order.pay, order.country, currency=order.currency, shop=shop)
    id, now = new_id("pur"), shop.clock.now()
    purchase = Purchase(
        id=id,
        key=key,
        kind="top_up",
        principal=by.id,
        viewer=by.id,
        amount=order.amount,
        currency=order.currency,
        rail=rail.provider,
        return_url=_return_url(order.return_path or "/wallet", shop, purchase=id),
        legal_entity=rail.legal_entity,
        fee_bp=0,
        created_at=now,
        expires_at=now + OPEN_FOR,
        look_at=now + OPEN_FOR,
    )
    async with shop.begin() as unit:
        if not await unit.offers.is_fiat(order.currency):
            raise Invalid(f"Nothing is paid in {order.currency} here.", code="currency-unknown")
        if await unit.purchases.add(purchase):
            return purchase
        found = await unit.purchases.by_key(key)
    if found is None:
        raise Conflict("This payment was begun a moment ago; ask again.")
    return found


async def ask(purchase: Purchase, *, shop: Shop) -> Started | None:
    """Begin the payment at its provider, once however often asked; None for one that was begun or is over.

    Outside of any transaction. Raises ProviderUnavailable: the worker then asks
    again; and Invalid for an amount or a currency that the provider does not take, each time.
    """
    if purchase.state not in ("new", "failed") or purchase.provider_ref is not None:
        return None
    async with shop.begin() as unit:
        payer = await unit.entitlements.principal(purchase.principal)
        title = await unit.catalogue.by_id(purchase.title) if purchase.title else None
        kept = await books.kept(purchase, unit=unit, shop=shop) if purchase.seller_account else 0
    order = Order(
        id=purchase.id,
        principal=payer.sub if payer else "",
        title=purchase.title or "",
        amount=purchase.amount,
        currency=purchase.currency,
        description=title.name if title else "Wallet",
        return_url=purchase.return_url,
        seller_account=purchase.seller_account,
        fee_amount=kept,
    )
    try:
        return await shop.providers.named(purchase.rail).start(order)
    except Refused:
        async with shop.begin() as unit:
            await give_up(purchase, unit=unit)
        raise


async def give_up(purchase: Purchase, *, unit: Stores) -> None:
    """The provider does not take it, so nobody can pay it: it failed."""
    found = await unit.purchases.by_id(purchase.id, lock=True)
    if found is not None and found.state in OPEN:
        found = replace(found, state="failed", look_at=None)
        await unit.purchases.put(found)
        await fail(found, unit=unit)


def choose(pay: str, country: str, *, currency: str, shop: Shop) -> Rail:
    """The rail a payer named, or the first that serves them. Raises Invalid with code `no-provider`."""
    rails = [rail for rail in shop.providers.rails if not pay or rail.provider == pay]
    return route(country, currency, rails)


async def _agree(ref: str, order: CheckoutOrder, *, by: Principal, unit: Stores, shop: Shop) -> Agreed:
    title = await catalogue.find(ref, by=by, titles=unit.catalogue)
    viewer = by
    if order.gift_to is not None:
        entitlements.check_served(await unit.entitlements.standing(title.id, by.id))
        viewer = await entitlements.receiver(order.gift_to, by=by, entitlements=unit.entitlements, people=unit.accounts)
    offer = await offers.find(title.id, order, by=by, unit=unit, clock=shop.clock)
    await rights.check(title, viewer, offer, unit=unit, shop=shop)
    coupon = await offers.coupon_for(order.coupon or "", offer, coupons=unit.coupons)
    referrer = await referrals.referrer(
        order.referral or "",
        buyer=by,
        viewer=viewer,
        sellers=[title.seller, *(partner.seller for partner in await unit.purchases.partners(title.id))],
        referrals=unit.referrals,
        entitlements=unit.entitlements,
    )
    paid = price(offer, coupon, shop.clock)
    return Agreed(title=title, viewer=viewer, offer=offer, price=paid, coupon=coupon, referrer=referrer)


async def _same(agreed: Agreed, rail: Rail, *, by: Principal, unit: Stores, shop: Shop) -> Purchase | None:
    """The open purchase that a second click is about."""
    found = await unit.purchases.open_for(agreed.viewer.id, agreed.title.id)
    asked = (by.id, agreed.offer.id, agreed.offer.version, agreed.price.coupon, agreed.price.amount, rail.provider)
    if found is None or shop.clock.now() >= found.expires_at:
        return None
    have = (found.principal, found.offer, found.offer_version, found.coupon, found.amount, found.rail)
    return found if have == asked else None


async def _open(
    agreed: Agreed, order: CheckoutOrder, rail: Rail, /, *, by: Principal, key: str, unit: Stores, shop: Shop
) -> Purchase:
    """A new purchase in place of one that was not paid: should that be paid all the same, it is given back.

    A gift does not take the place of what its viewer is paying themselves.
    """
    now, title = shop.clock.now(), agreed.title
    if (older := await unit.purchases.open_for(agreed.viewer.id, title.id)) is not None:
        if older.principal == older.viewer != by.id and now < older.expires_at:
            raise Conflict("They are buying it themselves just now.", code="bought-meanwhile")
        await coupons.exchange(older.coupon, agreed.coupon.id if agreed.coupon else None, coupons=unit.coupons)
        older = replace(older, state="expired", look_at=now)
        await unit.purchases.put(older)
        await fail(older, unit=unit)
    id = new_id("pur")
    if agreed.coupon is not None:
        await coupons.claim(agreed.coupon, agreed.offer, by=by, purchase=id, coupons=unit.coupons, clock=shop.clock)
    purchase = Purchase(
        id=id,
        key=key,
        kind="title",
        principal=by.id,
        viewer=agreed.viewer.id,
        scope=title.id,
        title=title.id,
        seller=title.seller,
        offer=agreed.offer.id,
        offer_version=agreed.offer.version,
        coupon=agreed.price.coupon,
        referrer=agreed.referrer,
        amount=agreed.price.amount,
        currency=agreed.price.currency,
        rail=rail.provider,
        return_url=_return_url(order.return_path or card(title).watch_url, shop, purchase=id),
        seller_account=await payees.account_for(title.seller, rail.provider, payees=unit.payees),
        legal_entity=rail.legal_entity,
        fee_bp=(await unit.portal.read()).fee_bp,
        created_at=now,
        expires_at=now + OPEN_FOR,
        look_at=now + OPEN_FOR,
    )
    if not await unit.purchases.add(purchase):
        raise Conflict("This was bought by the same request before.", code="bought-already")
    await books.agree(purchase, unit=unit, shop=shop)
    return purchase


async def _pay(purchase: Purchase, agreed: Agreed, *, unit: Stores, shop: Shop) -> Purchase:
    purchase = await books.sell(purchase, unit=unit, shop=shop)
    await unit.purchases.put(purchase)
    await rights.give(purchase, agreed.offer, unit=unit, shop=shop)
    return purchase


def _wallet(shop: Shop) -> Rail:
    return Rail(provider=WALLET, legal_entity=shop.legal_entity, descriptor="")


def _return_url(path: str, shop: Shop, **query: str) -> str:
    sign = "&" if "?" in path else "?"
    return shop.origin.rstrip("/") + path + (sign + urlencode(query) if query else "")
