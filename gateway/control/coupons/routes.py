"""Routes of coupons: what a seller gives away."""

from __future__ import annotations

from gateway.control.coupons import actions
from gateway.control.coupons.model import Coupon, Coupons, NewCoupon
from gateway.control.limits import READ, WRITE
from gateway.control.route import Call, Route
from gateway.control.sellers import actions as sellers


async def create_coupon(call: Call[NewCoupon]) -> Coupon:
    """A code that lowers the prices of a seller, or of one title."""
    unit = await call.unit()
    return await actions.create(
        call.body,
        await sellers.read(call.path("handle"), sellers=unit.sellers),
        by=call.principal,
        titles=unit.catalogue,
        coupons=unit.coupons,
        currencies=unit.offers,
        outbox=unit.outbox,
        clock=call.wiring["clock"],
        place=call.place,
    )


async def list_coupons(call: Call[None]) -> Coupons:
    """A seller's coupons and how often each was used, the newest first."""
    async with call.wiring["begin"]() as unit:
        seller = await sellers.read(call.path("handle"), sellers=unit.sellers)
        return Coupons(await actions.listed(seller, by=call.principal, coupons=unit.coupons))


async def retire_coupon(call: Call[None]) -> None:
    """Take a coupon back; nobody uses it from now on."""
    unit = await call.unit()
    await actions.retire(
        await sellers.read(call.path("handle"), sellers=unit.sellers),
        call.path("code"),
        by=call.principal,
        coupons=unit.coupons,
        outbox=unit.outbox,
        place=call.place,
    )


ROUTES: list[Route] = [
    Route("POST", "/v1/sellers/{handle}/coupons", create_coupon, limit=WRITE, status=201, idempotent=True),
    Route("GET", "/v1/sellers/{handle}/coupons", list_coupons, limit=READ, problems=(403,)),
    Route("DELETE", "/v1/sellers/{handle}/coupons/{code}", retire_coupon, limit=WRITE, idempotent=True),
]
