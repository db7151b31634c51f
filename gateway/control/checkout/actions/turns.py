"""What the worker does for purchases: settles earnings, and looks after payments that nobody heard of again."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from gateway.control.checkout.actions import books
from gateway.control.checkout.actions.buy import ask
from gateway.control.checkout.actions.hear import booking, hear, started
from gateway.control.checkout.actions.stores import Shop, Stores
from gateway.control.checkout.model import OPEN, Purchase
from gateway.control.payments import actions as payments
from gateway.control.payments.providers.base import Charge
from shared import log
from shared.errors import Conflict, Refused, Retryable, Unavailable
from shared.metrics import ERRORS

#: Purchases that one turn settles, or asks about.
AT_ONCE = 100
#: A provider is asked again about a payment after so long, and earnings that cannot be settled are looked at again.
AGAIN, LATER = timedelta(seconds=60), timedelta(hours=1)


async def settle(*, shop: Shop) -> int:
    """Make earnings available that were pending for long enough; how many purchases' that were."""
    async with shop.begin() as unit:
        due = await unit.purchases.due_to_settle(shop.clock.now(), AT_ONCE)
    settled = 0
    for id in due:
        try:
            settled += await _settle(id, shop=shop)
        except Unavailable:
            raise
        except Exception as error:  # whatever it is, the earnings behind these must not wait for it
            _tell(id, error)
            async with shop.begin() as unit:
                purchase = await unit.purchases.by_id(id, lock=True)
                if purchase is not None:
                    await unit.purchases.put(replace(purchase, settle_at=shop.clock.now() + LATER))
    return settled


async def look_after(*, shop: Shop) -> int:
    """Ask providers about payments that should have ended; how many. A webhook that got lost costs time alone."""
    async with shop.begin() as unit:
        due = await unit.purchases.due_to_look(shop.clock.now(), AT_ONCE)
        found = [await unit.purchases.by_id(id) for id in due]
    for purchase in found:
        if purchase is not None:
            await _look(purchase, shop=shop)
    return len(due)


async def _settle(id: str, *, shop: Shop) -> bool:
    async with shop.begin() as unit:
        purchase = await unit.purchases.by_id(id, lock=True)
        if purchase is None:
            return False
        settled = await books.settle(purchase, unit=unit, now=shop.clock.now())
        await unit.purchases.put(settled)
        return True


async def _look(purchase: Purchase, *, shop: Shop) -> None:
    over = False
    try:
        ref = await _at_provider(purchase, shop=shop)
        async with shop.begin() as unit:
            charge = await _hear(purchase, ref, unit=unit, shop=shop)
        over = charge.state in ("declined", "voided", "paid")
    except (Retryable, Conflict):  # it did not answer, or it moves just now
        pass
    except Exception as error:  # a provider that is not in use, or whatever it is: those behind it must not wait for it
        _tell(purchase.id, error)
    async with shop.begin() as unit:
        now = await unit.purchases.by_id(purchase.id, lock=True)
        if now is not None and now.look_at is not None:
            await unit.purchases.put(replace(now, look_at=None if over else shop.clock.now() + AGAIN))


async def _at_provider(purchase: Purchase, *, shop: Shop) -> str | None:
    """Take what is set aside there, or let go of what nobody paid in time; the payment's reference.

    What was not begun for sure is begun again, which is the same payment: only then can it be let go of. None for one
    that the provider does not take, so that nobody can pay it.
    """
    provider = shop.providers.named(purchase.rail)
    try:
        if (ref := purchase.provider_ref) is None:
            begun = await ask(purchase, shop=shop)
            if begun is None:
                return None
            async with shop.begin() as unit:
                await started(purchase, begun, unit=unit, shop=shop)
            ref = begun.provider_ref
        charge = await provider.find(ref)
        is_late = shop.clock.now() >= purchase.expires_at or purchase.state not in OPEN
        if charge.state == "authorized" and purchase.state in OPEN:
            await provider.capture(ref)
        elif charge.state in ("open", "authorized") and is_late:
            await provider.void(ref)
    except (Conflict, Retryable):
        raise
    except Refused:
        return None
    return ref


def _tell(purchase: str, error: Exception) -> None:
    ERRORS.labels("worker").inc()
    log.get("checkout").error(
        "purchase put off", purchase=purchase, error=type(error).__name__, reason=str(error)[:300]
    )


async def _hear(purchase: Purchase, ref: str | None, *, unit: Stores, shop: Shop) -> Charge:
    if ref is None:
        charge = _nothing(purchase)
        await hear(charge, rail=purchase.rail, unit=unit, shop=shop)
        return charge
    provider = shop.providers.named(purchase.rail)
    return await payments.look(ref, provider=provider, unit=unit, clock=shop.clock, settle=[booking(shop)])


def _nothing(purchase: Purchase) -> Charge:
    """A payment that never was."""
    return Charge(
        provider_ref=purchase.provider_ref or "",
        order=purchase.id,
        state="voided",
        amount=purchase.amount,
        currency=purchase.currency,
    )
