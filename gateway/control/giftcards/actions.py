"""What is done with gift cards: buy one by wallet, redeem one, see what one bought."""

from __future__ import annotations

from typing import Protocol

from gateway.control.auth import Principal
from gateway.control.giftcards.model import (
    PAGE,
    Bought,
    GiftCard,
    GiftCardRows,
    GiftCards,
    NewGiftCard,
    Redeemed,
    check_amount,
    draw_code,
    hash_of,
    payment,
    purchase,
    redemption,
)
from gateway.control.ledger import actions as ledger_actions
from gateway.control.ledger.model import Ledger
from gateway.control.wallet.model import Wallets
from shared.clock import Clock
from shared.errors import Conflict, NotFound
from shared.ids import new_id


class Stores(Protocol):
    """One transaction."""

    @property
    def gift_cards(self) -> GiftCardRows: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def wallet(self) -> Wallets: ...


async def buy(new: NewGiftCard, *, by: Principal, key: str, unit: Stores, clock: Clock, legal_entity: str) -> Bought:
    """A card, paid by wallet. Raises Invalid, NotFound for a currency that is not booked here, Insufficient.

    Raises Conflict for a request whose card was given long ago: its code is known to nobody but the buyer.
    `legal_entity`: the company that keeps the wallets and owes what is on cards.
    """
    check_amount(new.amount, new.currency)
    code = draw_code()
    card = GiftCard(id=new_id("gft"), hint=code[-4:], amount=new.amount, currency=new.currency, created_at=clock.now())
    posted = await ledger_actions.post(purchase(card, by.id, key=key, legal_entity=legal_entity), ledger=unit.ledger)
    if posted.replayed:  # answers are kept for some days, movements for good
        raise Conflict("A gift card was bought by this very request before.", code="bought-already")
    await unit.gift_cards.add(card, hash_of(code), bought_by=by.id, txn=posted.txn)
    await unit.wallet.tell(payment(card, "gift_card", principal=by.id, txn=posted.txn, at=clock.now()))
    return Bought(id=card.id, code=code, amount=card.amount, currency=card.currency)


async def redeem(code: str, *, by: Principal, unit: Stores, clock: Clock) -> Redeemed:
    """What a card holds goes to one's wallet, once, in the books of the company that sold it.

    Raises NotFound, Conflict with code `gift-card-used`.
    """
    card = await unit.gift_cards.by_code(hash_of(code))
    if card is None:
        raise NotFound("There is no gift card with this code; look whether it was typed as it stands there.")
    if card.redeemed_at is not None:
        raise Conflict("This gift card was used before.", code="gift-card-used")
    sale = await unit.ledger.txn(await unit.gift_cards.bought_in(card.id))
    entity = sale.postings[0].stamps.legal_entity if sale else None
    posted = await ledger_actions.post(redemption(card, by.id, legal_entity=entity), ledger=unit.ledger)
    await unit.gift_cards.redeem(card.id, by=by.id, txn=posted.txn, at=clock.now())
    await unit.wallet.tell(payment(card, "redeemed", principal=by.id, txn=posted.txn, at=clock.now()))
    return Redeemed(amount=card.amount, currency=card.currency)


async def bought(by: Principal, *, cards: GiftCardRows) -> GiftCards:
    """What one bought, and whether it was redeemed."""
    return GiftCards(await cards.of_buyer(by.id, PAGE))
