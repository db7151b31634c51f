"""Routes of gift cards."""

from __future__ import annotations

from gateway.control.giftcards import actions
from gateway.control.giftcards.model import Bought, GiftCards, NewGiftCard, Redeemed, Redemption
from gateway.control.limits import AUTH, READ, WRITE
from gateway.control.route import Call, Route


async def buy_gift_card(call: Call[NewGiftCard]) -> Bought:
    """Put money of one's wallet on a card; this answer alone shows its code."""
    unit = await call.unit()
    return await actions.buy(
        call.body,
        by=call.principal,
        key=call.key,
        unit=unit,
        clock=call.wiring["clock"],
        legal_entity=call.wiring["settings"].legal_entity,
    )


async def redeem_gift_card(call: Call[Redemption]) -> Redeemed:
    """Put what a card holds into one's wallet."""
    unit = await call.unit()
    return await actions.redeem(
        call.body.code,
        by=call.principal,
        unit=unit,
        clock=call.wiring["clock"],
    )


async def list_gift_cards(call: Call[None]) -> GiftCards:
    """The cards one bought, the newest first."""
    async with call.wiring["begin"]() as unit:
        return await actions.bought(call.principal, cards=unit.gift_cards)


ROUTES: list[Route] = [
    Route(
        "POST", "/v1/gift-cards", buy_gift_card, limit=WRITE, status=201, idempotent=True, problems=(404,), tag="value"
    ),
    Route("POST", "/v1/gift-cards/redeem", redeem_gift_card, limit=AUTH, idempotent=True, problems=(404,), tag="value"),
    Route("GET", "/v1/gift-cards", list_gift_cards, limit=READ),
]
