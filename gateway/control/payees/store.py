"""SQL of sellers' accounts at providers."""

from __future__ import annotations

from datetime import datetime

from gateway.control.db import Connection
from gateway.control.payees.model import Payee

ADD = "insert into payee (seller, provider, account) values ($1, $2, $3) on conflict (seller, provider) do nothing"
READ = "select seller, provider, account, can_charge, can_be_paid, missing from payee where "
OF_SELLER = READ + "seller = $1 order by provider"
LOCK = READ + "provider = $1 and account = $2 for update"
WRITE = """
update payee set can_charge = $3, can_be_paid = $4, missing = $5, seen_at = $6 where seller = $1 and provider = $2
"""


class PayeeStore:
    """Sellers' accounts, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, payee: Payee) -> None:
        """Keep a new account, unless the seller has one there."""
        await self._connection.execute(ADD, payee.seller, payee.provider, payee.account)

    async def of_seller(self, seller: str) -> list[Payee]:
        """All accounts of a seller."""
        return [Payee(**row) for row in await self._connection.fetch(OF_SELLER, seller)]

    async def lock(self, provider: str, account: str) -> Payee | None:
        """An account that nobody else changes until the transaction ends."""
        row = await self._connection.fetchrow(LOCK, provider, account)
        return Payee(**row) if row else None

    async def write(self, payee: Payee, now: datetime) -> None:
        """Keep an account as its provider has it now."""
        values = (payee.can_charge, payee.can_be_paid, list(payee.missing), now)
        await self._connection.execute(WRITE, payee.seller, payee.provider, *values)
