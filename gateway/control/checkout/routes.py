"""Routes of buying: check out, top up, look, give back, and who shares in a title's sales."""

from __future__ import annotations

from gateway.control.checkout import actions
from gateway.control.checkout.model import (
    WALLET,
    CheckoutOrder,
    Partners,
    Purchase,
    PurchaseView,
    Refund,
    RefundOrder,
    TopUpOrder,
    view,
)
from gateway.control.idempotency.model import hash_of
from gateway.control.limits import POLL, READ, WRITE
from gateway.control.route import Call, Route


async def check_out(call: Call[CheckoutOrder]) -> PurchaseView:
    """Buy what a title is offered for, from the wallet or by a provider; the price is the one that was seen."""
    title, order, shop = call.path("title"), call.body, call.wiring["shop"]
    key = _key("checkout", call)
    if order.pay == WALLET:
        unit = await call.unit()
        return view(await actions.from_wallet(title, order, by=call.principal, key=key, unit=unit, shop=shop))
    return await _begin(call, await actions.by_provider(title, order, by=call.principal, key=key, shop=shop))


async def top_up(call: Call[TopUpOrder]) -> PurchaseView:
    """Pay onto one's wallet by a provider."""
    shop = call.wiring["shop"]
    purchase = await actions.top_up(call.body, by=call.principal, key=_key("top-up", call), shop=shop)
    return await _begin(call, purchase)


def _key(kind: str, call: Call[CheckoutOrder] | Call[TopUpOrder]) -> str:
    """The key of a purchase: by what is asked for as well, as a refusal frees the sender's key for something else."""
    asked = call.request.url
    return f"{kind}:{call.key}:{hash_of(asked.path, asked.query, call.body).hex()}"


async def _begin(call: Call[CheckoutOrder] | Call[TopUpOrder], purchase: Purchase) -> PurchaseView:
    """Ask the provider before the transaction is opened in which its answer is kept."""
    shop = call.wiring["shop"]
    begun = await actions.ask(purchase, shop=shop)
    if begun is not None and begun.state == "authorized":
        await shop.providers.named(purchase.rail).capture(begun.provider_ref)
    return view(await actions.begun(purchase, begun, unit=await call.unit(), shop=shop))


async def read_purchase(call: Call[None]) -> PurchaseView:
    """A purchase of one's own, and what became of it."""
    async with call.wiring["begin"]() as unit:
        found = await actions.read_purchase(call.path("purchase"), by=call.principal, purchases=unit.purchases)
    return view(found)


async def refund_purchase(call: Call[RefundOrder]) -> Refund:
    """Give a purchase back, or some of it; with all of it the right ends and what plays by it."""
    unit = await call.unit()
    return await actions.refund(
        call.path("purchase"),
        call.body,
        by=call.principal,
        key=call.key,
        place=call.place,
        unit=unit,
        shop=call.wiring["shop"],
    )


async def retry_refund(call: Call[None]) -> Refund:
    """Ask a provider once more for a refund that it refused."""
    return await actions.retry(
        call.path("refund"),
        by=call.principal,
        place=call.place,
        unit=await call.unit(),
        now=call.wiring["clock"].now(),
    )


async def read_partners(call: Call[None]) -> Partners:
    """Who shares in a title's sales besides its seller."""
    async with call.wiring["begin"]() as unit:
        return await actions.read_partners(
            call.path("title"), by=call.principal, titles=unit.catalogue, purchases=unit.purchases
        )


async def put_partners(call: Call[Partners]) -> Partners:
    """Set who shares in a title's sales from now on."""
    async with call.wiring["begin"]() as unit:
        return await actions.set_partners(
            call.path("title"),
            call.body,
            by=call.principal,
            place=call.place,
            titles=unit.catalogue,
            purchases=unit.purchases,
            directory=unit.sellers,
            outbox=unit.outbox,
        )


ROUTES: list[Route] = [
    Route(
        "POST",
        "/v1/titles/{title}/checkout",
        check_out,
        limit=WRITE,
        status=201,
        tag="value",
        idempotent=True,
        problems=(410,),
    ),
    Route("POST", "/v1/wallet/top-ups", top_up, limit=WRITE, status=201, tag="value", idempotent=True),
    Route("GET", "/v1/payments/{purchase}", read_purchase, limit=POLL),
    Route(
        "POST",
        "/v1/payments/{purchase}/refunds",
        refund_purchase,
        limit=WRITE,
        status=201,
        tag="value",
        idempotent=True,
    ),
    Route("POST", "/v1/refunds/{refund}/retry", retry_refund, limit=WRITE, tag="value", idempotent=True),
    Route("GET", "/v1/titles/{title}/partners", read_partners, limit=READ, problems=(403,)),
    Route("PUT", "/v1/titles/{title}/partners", put_partners, limit=WRITE),
]
