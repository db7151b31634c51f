"""Routes of offers: what a viewer may get a title for, and what its seller makes of that."""

from __future__ import annotations

from gateway.control.catalogue import actions as catalogue
from gateway.control.entitlements import actions as entitlements
from gateway.control.limits import READ, WRITE
from gateway.control.offers import actions, prices
from gateway.control.offers.model import CardPrice, NewOffer, Offer, OfferChange, OfferList, SellerOffers
from gateway.control.route import Call, Route
from shared.errors import Invalid


async def list_offers(call: Call[None]) -> OfferList:
    """What a title is to be had for, at the prices this viewer pays, and whether they may watch it anyway."""
    clock = call.wiring["clock"]
    async with call.wiring["begin"]() as unit:
        title = await catalogue.find(call.path("title"), by=call.caller, titles=unit.catalogue)
    standings = call.wiring["standings"]
    admission = await entitlements.may_see(title, call.caller, standings=standings, now=clock.now())
    async with call.wiring["begin"]() as unit:
        chosen = await unit.wallet.display(call.caller.id) if call.caller else None
        return await actions.show(
            title,
            admission,
            viewer=call.caller,
            code=call.query("coupon"),
            display=chosen or call.wiring["settings"].display_currency,
            unit=unit,
            clock=clock,
        )


async def create_offer(call: Call[NewOffer]) -> Offer:
    """Offer a title, a season or a series: for free, for one view, to rent or to own, for good or for a time."""
    return await actions.create(
        call.path("title"),
        call.body,
        by=call.principal,
        unit=await call.unit(),
        providers=call.wiring["providers"],
        clock=call.wiring["clock"],
    )


async def change_offer(call: Call[OfferChange]) -> Offer:
    """The next version of an offer; who has the page of an older one is told before they pay."""
    return await actions.change(
        call.path("title"),
        call.path("offer"),
        call.body,
        by=call.principal,
        place=call.place,
        unit=await call.unit(),
        providers=call.wiring["providers"],
        clock=call.wiring["clock"],
    )


async def retire_offer(call: Call[None]) -> None:
    """Take an offer back; what was bought by it stays."""
    await actions.retire(
        call.path("title"),
        call.path("offer"),
        by=call.principal,
        place=call.place,
        unit=await call.unit(),
        clock=call.wiring["clock"],
    )


async def list_all_offers(call: Call[None]) -> SellerOffers:
    """All offers of a title, those to come and those that were too, for who sells it."""
    async with call.wiring["begin"]() as unit:
        return SellerOffers(
            await actions.history(call.path("title"), by=call.principal, titles=unit.catalogue, offers=unit.offers)
        )


async def read_card_price(call: Call[None]) -> CardPrice:
    """What becomes of a price that is paid by card, before it is saved."""
    text = call.query("amount")
    if not (text.isascii() and text.isdigit() and len(text) <= 13 and int(text) <= 10**12):
        raise Invalid("The amount is a whole number of the currency's smallest unit, such as 499, and not above 10^12.")
    async with call.wiring["begin"]() as unit:
        return await prices.quote(int(text), call.query("currency"), unit=unit, providers=call.wiring["providers"])


ROUTES: list[Route] = [
    Route(
        "GET",
        "/v1/titles/{title}/offers",
        list_offers,
        limit=READ,
        login=False,
        query={"coupon": "a code that lowers the price"},
    ),
    Route("POST", "/v1/titles/{title}/offers", create_offer, limit=WRITE, status=201, idempotent=True),
    Route("PUT", "/v1/titles/{title}/offers/{offer}", change_offer, limit=WRITE, idempotent=True),
    Route("DELETE", "/v1/titles/{title}/offers/{offer}", retire_offer, limit=WRITE, idempotent=True),
    Route("GET", "/v1/studio/titles/{title}/offers", list_all_offers, limit=READ, problems=(403,)),
    Route(
        "GET",
        "/v1/studio/card-price",
        read_card_price,
        limit=READ,
        query={"amount": "in the currency's smallest unit", "currency": "such as USD"},
    ),
]
