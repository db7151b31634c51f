"""What is done with coupons: make, list, retire; claim one for a purchase, and release it when that came to nothing."""

from __future__ import annotations

import msgspec

from gateway.control.auth import Principal, require
from gateway.control.catalogue import actions as catalogue
from gateway.control.catalogue.model import Titles
from gateway.control.coupons.model import (
    Coupon,
    CouponRows,
    Currencies,
    NewCoupon,
    Priced,
    check,
    check_new,
    fold,
    used_before,
    used_up,
)
from gateway.control.outbox import Outbox
from gateway.control.paging import check_moment
from gateway.control.sellers.model import Seller
from shared.clock import Clock
from shared.errors import Conflict, Invalid, NotFound
from shared.ids import new_id

NO_COUPON = "There is no such coupon."
CREATE = "coupon:create"


async def create(
    new: NewCoupon,
    seller: Seller,
    *,
    by: Principal,
    titles: Titles,
    coupons: CouponRows,
    currencies: Currencies,
    outbox: Outbox,
    clock: Clock,
    place: str,
) -> Coupon:
    """A coupon of a seller. Raises Forbidden, Invalid, NotFound for a title of another, Conflict for a taken code."""
    require(by, "offer:write", seller)
    check_new(new)
    for moment in (new.starts_at, new.ends_at):
        if moment is not None:
            check_moment(moment)
    if new.currency is not None and not await currencies.is_fiat(new.currency):
        raise Invalid(f"currency: nothing is sold in {new.currency!r} here.", code="currency-unknown")
    coupon = Coupon(
        id=new_id("cpn"),
        seller=seller.id,
        scope=await _scope(new.title, seller, by=by, titles=titles),
        code=new.code,
        kind="percent" if new.percent is not None else "amount",
        bp=new.percent * 100 if new.percent is not None else None,
        amount=new.amount,
        currency=new.currency,
        uses_max=new.uses_max,
        per_viewer=new.per_viewer,
        starts_at=new.starts_at,
        ends_at=new.ends_at,
        created_at=clock.now(),
    )
    if not await coupons.add(coupon):
        raise Conflict("You have a coupon with this code; choose another.", code="coupon-taken")
    await _tell(coupon, new, by=by, outbox=outbox, place=place)
    return coupon


async def listed(seller: Seller, *, by: Principal, coupons: CouponRows) -> list[Coupon]:
    """A seller's coupons, for those who work for it."""
    require(by, "offer:read", seller)
    return await coupons.of_seller(seller.id)


async def retire(seller: Seller, code: str, *, by: Principal, coupons: CouponRows, outbox: Outbox, place: str) -> None:
    """Take a coupon back; what was bought with it stays. Raises NotFound, Forbidden."""
    require(by, "offer:write", seller)
    gone = await coupons.retire(seller.id, fold(code))
    if gone is None:
        raise NotFound(NO_COUPON)
    await outbox.audit(by.id, "coupon:retire", gone.id, before={"used": gone.used}, place=place)


async def exchange(given_back: str | None, wanted: str | None, *, coupons: CouponRows) -> None:
    """One coupon is to be released and another claimed: both are held first, in the order in which all hold several."""
    if given_back and wanted:
        await coupons.hold([given_back, wanted])


async def claim(
    coupon: Coupon, priced: Priced, *, by: Principal, purchase: str, coupons: CouponRows, clock: Clock
) -> None:
    """Use a coupon for a purchase, in the transaction that makes it: as often as it may be used, and no more.

    Whoever claims the same one waits until that transaction ends. Raises what `coupons.model.check` raises, and
    Conflict with code `coupon-used-up` or `coupon-used`; the transaction must then end.
    """
    held = await coupons.count_up(coupon.id)
    if held is None:
        raise used_up()
    check(held, priced, clock)
    if not await coupons.use(held, principal=by.id, purchase=purchase, at=clock.now()):
        raise used_before()


async def release(purchase: str, *, coupons: CouponRows) -> bool:
    """A purchase came to nothing: its coupon may be used once more. False when it used none, or gave it back before."""
    return await coupons.release(purchase)


async def use_again(coupon: str, *, by: str, purchase: str, coupons: CouponRows, clock: Clock) -> bool:
    """A purchase that came to nothing is paid after all; False when its coupon was used up meanwhile."""
    return await coupons.use_again(coupon, principal=by, purchase=purchase, at=clock.now())


async def _tell(coupon: Coupon, new: NewCoupon, *, by: Principal, outbox: Outbox, place: str) -> None:
    """Record all that was asked for; the code is words of a seller, and stays out of events."""
    asked = msgspec.to_builtins(msgspec.structs.replace(new, title=coupon.scope))
    after = {name: value for name, value in asked.items() if value is not None}
    await outbox.record(by.id, CREATE, coupon.id, after=after, place=place)
    del after["code"]
    await outbox.told(by.id, CREATE, coupon.id, after=after)


async def _scope(title: str | None, seller: Seller, *, by: Principal, titles: Titles) -> str | None:
    if title is None:
        return None
    found = await catalogue.find(title, by=by, titles=titles)
    if found.seller != seller.id:
        raise Invalid("title: a coupon is for titles of its own seller.")
    return found.id
