"""SQL of gift cards."""

from __future__ import annotations

from datetime import datetime

from gateway.control.db import Connection
from gateway.control.giftcards.model import GiftCard

ADD = """
insert into gift_card (id, code_hash, hint, amount, currency, bought_by, bought_txn, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
"""
#: Held: of two who bring the same code one waits, and sees that it was redeemed.
BY_CODE = """
select id, hint, amount, currency, created_at, redeemed_at from gift_card where code_hash = $1 for update
"""
BOUGHT_IN = "select bought_txn from gift_card where id = $1"
REDEEM = "update gift_card set redeemed_by = $2, redeem_txn = $3, redeemed_at = $4 where id = $1"
OF_BUYER = """
select id, hint, amount, currency, created_at, redeemed_at from gift_card where bought_by = $1
order by created_at desc limit $2
"""


class GiftCardStore:
    """Rows of gift cards, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, card: GiftCard, code_hash: bytes, *, bought_by: str, txn: int) -> None:
        """A card that was paid for."""
        values = (card.id, code_hash, card.hint, card.amount, card.currency, bought_by, txn, card.created_at)
        await self._connection.execute(ADD, *values)

    async def by_code(self, code_hash: bytes) -> GiftCard | None:
        """The card of a code, which nobody else redeems until the transaction ends."""
        row = await self._connection.fetchrow(BY_CODE, code_hash)
        return GiftCard(**row) if row else None

    async def bought_in(self, card: str) -> int:
        """The movement by which a card was sold."""
        return int(await self._connection.fetchval(BOUGHT_IN, card))

    async def redeem(self, card: str, *, by: str, txn: int, at: datetime) -> None:
        """It is used up."""
        await self._connection.execute(REDEEM, card, by, txn, at)

    async def of_buyer(self, principal: str, limit: int) -> list[GiftCard]:
        """What somebody bought, the newest first."""
        return [GiftCard(**row) for row in await self._connection.fetch(OF_BUYER, principal, limit)]
