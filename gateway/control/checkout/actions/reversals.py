"""Sellers' parts that a rail paid out, taken back there: written down with what is booked, asked for until it is done.

A dispute that is won meanwhile changes nothing of that: the seller has it again here.
"""

from __future__ import annotations

from datetime import datetime

from gateway.control.checkout.actions import books
from gateway.control.checkout.actions.refunds import next_try
from gateway.control.checkout.actions.stores import Shop, Stores
from gateway.control.checkout.model import Purchase, Reversal, ReversalState
from gateway.control.payments import actions as payments
from gateway.control.payments.providers.base import Charge, Onboarding
from shared import log
from shared.errors import Refused, Retryable
from shared.ids import new_id
from shared.metrics import ERRORS

#: What one turn of the worker asks for.
AT_ONCE = 50


async def want(purchase: Purchase, charge: Charge, *, unit: Stores, now: datetime) -> None:
    """Have what the books took from the seller's account at the rail, and the rail did not, taken there, too.

    By totals, so it holds whoever gave back or disputed what, and however often this payment is heard of. Refunds that
    are not made yet take their parts themselves.
    """
    if not (purchase.seller_account and purchase.was_paid):
        return
    lacking = await unit.purchases.taken_there(purchase.id) - charge.reversed
    if lacking > 0 and charge.refunded < purchase.refunded:
        lacking -= await unit.purchases.of_seller_unmade(purchase.id)
    if lacking > 0:
        wanted = Reversal(id=new_id("rev"), purchase=purchase.id, amount=lacking, tries=0)
        await unit.purchases.add_reversal(wanted, now)


async def ask_reversals(*, shop: Shop) -> int:
    """Ask rails for what is due; of how many it is settled who has it. Several workers may: each is asked for once."""
    async with shop.begin() as unit:
        due = await unit.purchases.due_reversals(shop.clock.now(), AT_ONCE)
    settled = 0
    for id in due:
        try:
            settled += await _ask(id, shop=shop)
        except Exception as error:  # whatever it is, those behind this one must not wait for it
            await _put_off(id, error, shop=shop)
    return settled


async def _ask(id: str, *, shop: Shop) -> bool:
    """Ask for one. Its row is held meanwhile, and nobody else asks for its payment: what is booked of it stays so."""
    async with shop.begin() as unit:
        found = await unit.purchases.reversal(id)
        purchase = await unit.purchases.by_id(found.purchase) if found else None
        if found is None or purchase is None:
            return False
        await payments.alone_with(purchase.provider_ref or "", rail=purchase.rail, unit=unit)
        state: ReversalState = "done" if await _is_taken(found, purchase, shop=shop) else "owed"
        if state == "owed":
            held = await unit.purchases.by_id(purchase.id, lock=True)
            await books.owe(held or purchase, id, found.amount, unit=unit)
        await unit.purchases.close_reversal(id, state, shop.clock.now())
        return True


async def _is_taken(found: Reversal, purchase: Purchase, *, shop: Shop) -> bool:
    """Whether the rail took it; False where it cannot. Raises ProviderUnavailable."""
    provider = shop.providers.named(purchase.rail)
    try:
        if isinstance(provider, Onboarding):
            await provider.take_back(purchase.provider_ref or "", found.amount, found.id)
            return True
        reason = "the rail has no accounts of sellers"
    except Refused as error:
        reason = str(error)
    log.get("checkout").warning(
        "seller owes what their rail could not take back", purchase=purchase.id, amount=found.amount, reason=reason
    )
    return False


async def _put_off(id: str, error: Exception, *, shop: Shop) -> None:
    if not isinstance(error, Retryable):
        ERRORS.labels("worker").inc()
        log.get("checkout").error("reversal put off", reversal=id, error=type(error).__name__, reason=str(error)[:300])
    async with shop.begin() as unit:
        found = await unit.purchases.reversal(id)
        if found is not None:
            await unit.purchases.retry_reversal(id, next_try(found.tries, shop.clock.now()))
