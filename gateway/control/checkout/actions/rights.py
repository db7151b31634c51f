"""What a purchase gives its viewer: whether they may get it, the right itself, and its end."""

from __future__ import annotations

from gateway.control.auth import Principal
from gateway.control.catalogue.model import Title
from gateway.control.checkout.actions.stores import Shop, Stores
from gateway.control.checkout.model import Purchase, check_again
from gateway.control.entitlements import actions as entitlements
from gateway.control.entitlements.model import NewRight
from gateway.control.offers.model import Offer
from shared.errors import Refused


async def check(title: Title, viewer: Principal, offer: Offer, /, *, unit: Stores, shop: Shop) -> None:
    """Whether a viewer may get what is offered of a title; others who buy it for them wait for this transaction.

    Raises as `entitlements.check_buyer`, and Conflict with code `bought-already`.
    """
    now = shop.clock.now()
    standing = await entitlements.check_buyer(title, viewer, entitlements=unit.entitlements, now=now)
    check_again(standing.rights, offer_kind=offer.kind, now=now)


async def is_wanted(purchase: Purchase, *, unit: Stores, shop: Shop) -> bool:
    """Whether the viewer still lacks what a purchase is for, and may get it; others who buy it for them wait."""
    if await unit.accounts.keep(purchase.viewer) is None:
        return False
    title = await unit.catalogue.by_id(purchase.title) if purchase.title else None
    offer = await unit.offers.by_id(purchase.offer) if purchase.offer else None
    viewer = await unit.entitlements.principal(purchase.viewer)
    if title is None or offer is None or viewer is None:
        return purchase.kind == "top_up" and viewer is not None
    try:
        await check(title, viewer, offer, unit=unit, shop=shop)
    except Refused:
        return False
    return True


async def give(purchase: Purchase, offer: Offer, *, unit: Stores, shop: Shop, again: bool = False) -> None:
    """Give the right, once for a purchase. `again`: it was taken away and comes back, as often as that is."""
    if offer.kind == "free" or purchase.scope is None:
        return
    right = NewRight(
        principal=purchase.viewer,
        scope=purchase.scope,
        source=_again(purchase) if again else purchase.id,
        term=offer.kind,
        hours=offer.hours,
        given_by=purchase.principal if purchase.principal != purchase.viewer else None,
        anew=again,
    )
    await entitlements.give(right, entitlements=unit.entitlements, outbox=unit.outbox, clock=shop.clock)


async def give_for(purchase: Purchase, *, unit: Stores, shop: Shop, again: bool = False) -> None:
    """The same for a purchase that was paid at a provider."""
    offer = await unit.offers.by_id(purchase.offer) if purchase.offer else None
    if offer is not None:
        await give(purchase, offer, unit=unit, shop=shop, again=again)


async def end(purchase: Purchase, *, unit: Stores, shop: Shop) -> None:
    """Take the right away; what is watched by it ends within two seconds, unless another right carries it."""
    title = await unit.catalogue.by_id(purchase.title) if purchase.title else None
    viewer = await unit.entitlements.principal(purchase.viewer)
    if title is None:
        return
    if viewer is not None:  # a link is made before the row of its right is taken, or not at all
        await unit.outbox.alone(sub=viewer.sub)
    for source in (purchase.id, _again(purchase)):
        await entitlements.take_back(
            source, title, entitlements=unit.entitlements, outbox=unit.outbox, clock=shop.clock
        )


def _again(purchase: Purchase) -> str:
    return f"{purchase.id}:again"
