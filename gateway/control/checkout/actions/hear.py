"""What a provider says of a payment, booked: paid, refunded, disputed; in any order, and however often."""

from __future__ import annotations

from contextlib import suppress

from msgspec.structs import replace

from gateway.control.checkout.actions import books, reversals, rights
from gateway.control.checkout.actions.stores import Shop, Stores
from gateway.control.checkout.model import OPEN, Purchase, Refund, Step, follow
from gateway.control.coupons import actions as coupons
from gateway.control.payments import actions as payments
from gateway.control.payments.actions import Settle
from gateway.control.payments.providers.base import Charge, Started
from shared.errors import NotFound
from shared.ids import new_id

#: Who gives back money that was not wanted.
SYSTEM = "system"


async def started(purchase: Purchase, begun: Started | None, *, unit: Stores, shop: Shop) -> Purchase:
    """Keep what came of asking a provider (`buy.ask`): where paying goes on, or that it was declined.

    What is paid or set aside already is not booked here.
    """
    found = await _locked(purchase.id, unit)
    if begun is None or found.state not in OPEN:
        return found
    found = replace(found, provider_ref=begun.provider_ref, url=begun.url, words=begun.words)
    if begun.state == "declined":
        found = replace(found, state="failed", look_at=None)
        await fail(found, unit=unit)
    await unit.purchases.put(found)
    return found


async def begun(purchase: Purchase, begun: Started | None, *, unit: Stores, shop: Shop) -> Purchase:
    """The same, and what was paid at once is booked."""
    found = await started(purchase, begun, unit=unit, shop=shop)
    if begun is None or begun.state not in ("authorized", "paid"):
        return found
    provider = shop.providers.named(purchase.rail)
    await payments.look(begun.provider_ref, provider=provider, unit=unit, clock=shop.clock, settle=[booking(shop)])
    return await _locked(purchase.id, unit)


async def hear(charge: Charge, *, rail: str, unit: Stores, shop: Shop) -> Purchase:
    """Book all that follows from a payment as its provider has it now. Idempotent, and free of order.

    Raises NotFound for an order that is none of ours, or another rail's.
    """
    known = await unit.purchases.by_id(charge.order)
    if known is None or known.rail != rail:
        raise NotFound("This payment is for nothing that was bought here.")
    # Whoever buys the same for this viewer waits before the row is held, as the others do.
    wanted = await rights.is_wanted(known, unit=unit, shop=shop) if not known.was_paid else False
    purchase = await _locked(known.id, unit)
    if wanted and charge.state == "paid" and purchase.coupon and purchase.state not in OPEN and not purchase.was_paid:
        wanted = await coupons.use_again(
            purchase.coupon, by=purchase.principal, purchase=purchase.id, coupons=unit.coupons, clock=shop.clock
        )
    step = follow(purchase, charge, wanted=wanted)
    before = purchase.state
    if not step.is_nothing or step.state != before:
        purchase = await _book(purchase, charge, step, unit=unit, shop=shop)
        await unit.purchases.put(purchase)
    await reversals.want(purchase, charge, unit=unit, now=shop.clock.now())
    if before in OPEN and purchase.state in ("failed", "expired"):
        await fail(purchase, unit=unit)
    return purchase


async def fail(purchase: Purchase, *, unit: Stores) -> None:
    """Tell that a purchase failed or ran out; its coupon may be used once more. The caller keeps its row."""
    await coupons.release(purchase.id, coupons=unit.coupons)
    data = {"purchase": purchase.id, "title": purchase.title}
    await unit.outbox.emit("payment.failed", purchase.id, **data, state=purchase.state)


def booking(shop: Shop) -> Settle[Stores]:
    """`hear` as what handles providers' events calls it: payments for something else are others'."""

    async def book(rail: str, charge: Charge, unit: Stores) -> None:
        with suppress(NotFound):
            await hear(charge, rail=rail, unit=unit, shop=shop)

    return book


async def _book(purchase: Purchase, charge: Charge, step: Step, /, *, unit: Stores, shop: Shop) -> Purchase:
    now = shop.clock.now()
    purchase = replace(purchase, provider_ref=charge.provider_ref or purchase.provider_ref)
    if step.give_back:
        return replace(await _give_back(purchase, charge, unit=unit, shop=shop), state=step.state)
    if step.sale:
        fee = books.rail_fee(purchase, charge)
        purchase = await books.sell(purchase, unit=unit, shop=shop, fee=fee)
        purchase = replace(purchase, rail_fee=charge.fee or purchase.rail_fee)
    elif step.rail_fee:
        purchase = await books.more_rail_fee(purchase, charge, unit=unit)
    if step.refund:
        purchase, _ = await books.take(purchase, step.refund, why="refund", to=books.cash(purchase), unit=unit, now=now)
    if step.dispute > 0:
        purchase, _ = await books.take(
            purchase, step.dispute, why="dispute", to=books.cash(purchase), unit=unit, now=now
        )
    elif step.dispute < 0:
        purchase = await books.give_again(purchase, -step.dispute, unit=unit, now=now)
    purchase = replace(purchase, state=step.state, words=step.words or purchase.words)
    if purchase.state in ("failed", "expired"):
        purchase = replace(purchase, look_at=None)
    await _right(purchase, step, unit=unit, shop=shop)
    return purchase


async def _right(purchase: Purchase, step: Step, *, unit: Stores, shop: Shop) -> None:
    if purchase.state in ("refunded", "disputed"):
        await rights.end(purchase, unit=unit, shop=shop)
    elif purchase.state == "paid" and (step.sale or step.dispute < 0):
        await rights.give_for(purchase, unit=unit, shop=shop, again=not step.sale)


async def _give_back(purchase: Purchase, charge: Charge, *, unit: Stores, shop: Shop) -> Purchase:
    """Money that came for nothing: it is booked as that, and the provider is asked to give it back.

    With it comes what lies with the seller's own account there, by what was agreed when the payment began.
    """
    now = shop.clock.now()
    agreed = purchase.amount - await books.kept(purchase, unit=unit, shop=shop)
    purchase, amount, txn = await books.return_all(purchase, charge, unit=unit, now=now)
    if amount:
        refund = Refund(
            id=new_id("ref"),
            purchase=purchase.id,
            amount=amount,
            currency=charge.currency,
            reason="not wanted any more",
            state="asked",
            created_at=now,
        )
        of_seller = agreed * amount // purchase.amount
        await unit.purchases.add_refund(refund, actor=SYSTEM, txn=txn, of_seller=of_seller)
    return purchase


async def _locked(id: str, unit: Stores) -> Purchase:
    found = await unit.purchases.by_id(id, lock=True)
    if found is None:
        raise NotFound("There is no such purchase.")
    return found
