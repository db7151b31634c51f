"""What the worker does for purchases: settles earnings, and looks after payments that nobody heard of again."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from gateway.control.checkout.actions import books
from gateway.control.checkout.actions.buy import ask
from gateway.control.checkout.actions.hear import hear, started
from gateway.control.checkout.actions.stores import Shop
from gateway.control.checkout.model import OPEN, Purchase
from gateway.control.payments.providers.base import Charge
from shared.errors import Conflict, NotFound, Retryable

#: Purchases that one turn settles, or asks about.
AT_ONCE = 100
#: A provider is asked again about a payment after so long.
AGAIN = timedelta(seconds=60)


async def settle(*, shop: Shop) -> int:
    """Make earnings available that were pending for long enough; how many purchases' that were."""
    async with shop.begin() as unit:
        due = await unit.purchases.due_to_settle(shop.clock.now(), AT_ONCE)
    for id in due:
        async with shop.begin() as unit:
            purchase = await unit.purchases.by_id(id, lock=True)
            if purchase is not None:
                settled = await books.settle(purchase, unit=unit, now=shop.clock.now())
                await unit.purchases.put(settled)
    return len(due)


async def look_after(*, shop: Shop) -> int:
    """Ask providers about payments that should have ended; how many. A webhook that got lost costs time alone."""
    async with shop.begin() as unit:
        due = await unit.purchases.due_to_look(shop.clock.now(), AT_ONCE)
        found = [await unit.purchases.by_id(id) for id in due]
    for purchase in found:
        if purchase is not None:
            await _look(purchase, shop=shop)
    return len(due)


async def _look(purchase: Purchase, *, shop: Shop) -> None:
    try:
        charge = await _charge(purchase, shop=shop)
    except (Retryable, Conflict):  # it did not answer, or it moves just now
        charge = None
    except NotFound:  # it knows of no such payment, so nobody can pay it any more
        charge = _nothing(purchase)
    async with shop.begin() as unit:
        if charge is not None:
            await hear(charge, rail=purchase.rail, unit=unit, shop=shop)
        now = await unit.purchases.by_id(purchase.id, lock=True)
        if now is not None and now.look_at is not None:
            is_over = charge is not None and charge.state in ("declined", "voided", "paid")
            await unit.purchases.put(replace(now, look_at=None if is_over else shop.clock.now() + AGAIN))


async def _charge(purchase: Purchase, *, shop: Shop) -> Charge | None:
    """The payment as its provider has it, after what is still to be done with it there.

    What was not begun for sure is begun again, which is the same payment: only then can it be let go of.
    """
    provider = shop.providers.named(purchase.rail)
    ref = purchase.provider_ref
    if ref is None:
        begun = await ask(purchase, shop=shop)
        if begun is None:
            return _nothing(purchase)
        async with shop.begin() as unit:
            await started(purchase, begun, unit=unit, shop=shop)
        ref = begun.provider_ref
    charge = await provider.find(ref)
    if charge.state == "authorized" and purchase.state in OPEN:
        return await provider.capture(ref)
    is_late = shop.clock.now() >= purchase.expires_at or purchase.state not in OPEN
    return await provider.void(ref) if is_late and charge.state in ("open", "authorized") else charge


def _nothing(purchase: Purchase) -> Charge:
    """A payment that never was."""
    return Charge(
        provider_ref=purchase.provider_ref or "",
        order=purchase.id,
        state="voided",
        amount=purchase.amount,
        currency=purchase.currency,
    )
