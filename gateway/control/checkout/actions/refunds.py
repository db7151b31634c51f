"""Giving back: booked at once, done by the provider afterwards, and asked of it until it is done."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from gateway.control.auth import Principal, require
from gateway.control.checkout.actions import books, rights
from gateway.control.checkout.actions.stores import Shop, Stores
from gateway.control.checkout.model import WALLET, Purchase, Refund, RefundOrder, given_back
from gateway.control.payments.providers.base import SELLER_SHORT
from shared import log
from shared.errors import Conflict, Invalid, NotFound, Retryable, UsherError
from shared.ids import new_id
from shared.metrics import ERRORS, REFUNDS_FAILED
from shared.money import Money

#: Seconds until a provider that did not answer is asked again: doubled each time, up to an hour.
FIRST_S, LAST_S = 30, 3600
#: What one turn of the worker asks for.
AT_ONCE = 50
REFUND = "payment:refund"


async def refund(
    id: str, order: RefundOrder, *, by: Principal, key: str, place: str, unit: Stores, shop: Shop
) -> Refund:
    """Give a purchase back, all that is left of it or so much: each gives back its part, in proportion.

    With all of it given back the right ends, and what is watched by it within two seconds; so it does for what cost
    nothing. Raises Forbidden, NotFound, Conflict for what was not paid or is given back already, or by the same request
    long ago; Invalid for more than is left.
    """
    require(by, REFUND)
    purchase = await unit.purchases.by_id(id, lock=True)
    if purchase is None:
        raise NotFound("There is no such purchase.")
    if not purchase.is_refundable:
        raise Conflict("Nothing of this purchase can be given back.", code="nothing-to-refund")
    if purchase.rail == WALLET and purchase.amount and await unit.accounts.keep(purchase.principal) is None:
        raise Conflict(
            "Who bought this deleted their account, and it was paid from its wallet: nothing can be given back to "
            "that. If they ask for it, pay them outside of Usher.",
            code="buyer-left",
        )
    amount = order.amount or purchase.left
    if amount > purchase.left:
        left = Money(purchase.left, purchase.currency)
        raise Invalid(f"Of this purchase {left} is left to be given back.", code="refund-too-large")
    now = shop.clock.now()
    state = given_back(purchase, amount)
    purchase, txn = await books.take(purchase, amount, why="refund", to=books.purse(purchase), unit=unit, now=now)
    await unit.purchases.put(replace(purchase, state=state))
    if state == "refunded":
        await rights.end(purchase, unit=unit, shop=shop)
    made = Refund(
        id=new_id("ref"),
        purchase=purchase.id,
        amount=amount,
        currency=purchase.currency,
        reason=order.reason,
        state="done" if purchase.rail == WALLET else "asked",
        created_at=now,
    )
    if not await unit.purchases.add_refund(made, actor=by.id, txn=txn, key=key):
        # Answers are kept for some days, this for good; what was booked above is undone.
        raise Conflict("This was given back by the same request before.", code="refunded-already")
    told = {"purchase": purchase.id, "amount": amount, "currency": purchase.currency}
    await unit.outbox.record(by.id, REFUND, made.id, after={**told, "reason": order.reason}, place=place)
    await unit.outbox.told(by.id, REFUND, made.id, after=told)
    return made


async def retry(id: str, *, by: Principal, place: str, unit: Stores, now: datetime) -> Refund:
    """Ask the provider once more for a refund that it refused, under the refund's own id, so never twice.

    Raises Forbidden, NotFound, and Conflict for one that did not fail.
    """
    require(by, REFUND)
    found = await unit.purchases.refund(id, lock=True)
    if found is None:
        raise NotFound("There is no such refund.")
    if found.state != "failed":
        raise Conflict(f"This refund is {found.state} and did not fail.", code=f"refund-{found.state}")
    await unit.purchases.reopen_refund(id, now)
    before, after = {"state": found.state}, {"state": "asked"}
    await unit.outbox.record(by.id, REFUND, id, before={**before, "words": found.words}, after=after, place=place)
    await unit.outbox.told(by.id, REFUND, id, before=before, after=after)
    return replace(found, state="asked", words="", tries=0)


async def ask_refunds(*, shop: Shop) -> int:
    """Ask providers for the refunds that are due; how many are done. Several workers may: each is done once."""
    async with shop.begin() as unit:
        due = await unit.purchases.due_refunds(shop.clock.now(), AT_ONCE)
    done = 0
    for id in due:
        done += await _ask(id, shop=shop)
    return done


async def _ask(id: str, *, shop: Shop) -> bool:
    async with shop.begin() as unit:
        found = await unit.purchases.refund(id)
        purchase = await unit.purchases.by_id(found.purchase) if found else None
    if found is None or purchase is None or found.state != "asked":
        return False
    try:
        await _at_provider(found, purchase, shop=shop)
    except Retryable:
        return await _put_off(found, shop=shop)
    except UsherError as error:
        REFUNDS_FAILED.inc()
        log.get("checkout").error("refund failed", refund=id, purchase=purchase.id, reason=str(error))
        async with shop.begin() as unit:
            await unit.purchases.close_refund(id, "failed", words=str(error), at=shop.clock.now())
        return False
    except Exception as error:
        return await _put_off(found, shop=shop, why=error)
    try:
        async with shop.begin() as unit:
            return await _done(id, purchase, unit=unit, now=shop.clock.now())
    except Exception as error:
        return await _put_off(found, shop=shop, why=error)


async def _put_off(refund: Refund, *, shop: Shop, why: Exception | None = None) -> bool:
    """Ask again later: whatever it is, the refunds behind this one must not wait for it."""
    if why is not None:
        ERRORS.labels("worker").inc()
        log.get("checkout").error("refund put off", refund=refund.id, error=type(why).__name__, reason=str(why)[:300])
    async with shop.begin() as unit:
        await unit.purchases.retry_refund(refund.id, next_try(refund.tries, shop.clock.now()))
    return False


async def _at_provider(refund: Refund, purchase: Purchase, *, shop: Shop) -> None:
    """Ask for it. What was given back there by other hands meanwhile is not asked for again. Raises as `refund`.

    What the seller's account there does not hold they owe here, and the payer gets it all the same.
    """
    provider, ref = shop.providers.named(purchase.rail), purchase.provider_ref or ""
    async with shop.begin() as unit:
        of_seller = await unit.purchases.of_seller(refund.id)
    try:
        await provider.refund(ref, refund.amount, refund.id, of_seller=of_seller)
    except Conflict as error:
        if error.code == SELLER_SHORT:
            await _owe(refund, shop=shop)
            await provider.refund(ref, refund.amount, refund.id, of_seller=0)
        elif (await provider.find(ref)).refunded < purchase.refunded:
            raise


async def _owe(refund: Refund, *, shop: Shop) -> None:
    async with shop.begin() as unit:
        purchase = await unit.purchases.by_id(refund.purchase, lock=True)
        of_seller = await unit.purchases.of_seller(refund.id)
        if purchase is not None and of_seller:
            log.get("checkout").warning("seller owes a refund", refund=refund.id, purchase=purchase.id)
            await books.owe(purchase, refund.id, of_seller, unit=unit)


async def _done(id: str, purchase: Purchase, *, unit: Stores, now: datetime) -> bool:
    """The provider has given it back: it waits no more."""
    refund = await unit.purchases.refund(id, lock=True)
    if refund is None or refund.state != "asked":
        return False
    await unit.purchases.look_again(purchase.id, now)
    await books.done(refund, purchase, unit=unit)
    await unit.purchases.close_refund(id, "done", words="", at=now)
    return True


def next_try(tries: int, now: datetime) -> datetime:
    """When a provider that did not answer so often is asked again."""
    return now + timedelta(seconds=min(FIRST_S * 2 ** min(tries, 10), LAST_S))
