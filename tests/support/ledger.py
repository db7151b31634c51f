"""A ledger under test: a pool on a real Postgres, transactions as control begins them, and movements in one line."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from gateway.control.db import Database, open_pool
from gateway.control.ledger import actions
from gateway.control.ledger.model import Audit, Balance, Held, HoldOrder, Leg, Movement, Posted
from gateway.control.wiring import Unit

#: When the tests take place.
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LATER, MUCH_LATER = NOW.replace(hour=13), NOW.replace(hour=14)


def movement(key: str, kind: str = "test", **legs: Any) -> Movement:
    """A movement in USD; an account's colons are written as double underscores: `wallet__usr_1=-500`."""
    more = {name: legs.pop(name) for name in ("stamps", "reverses", "events") if name in legs}
    asset = legs.pop("asset", "USD")
    found = [Leg(name.replace("__", ":"), asset, amount) for name, amount in legs.items()]
    return Movement(key=key, kind=kind, legs=found, **more)


class Books:
    """The ledger's actions, each in a transaction of its own; racers wait here for a connection, however long."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self._begin = Database(pool, Unit).begin
        self._turns = asyncio.Semaphore(pool.get_max_size())

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[Unit]:
        """A transaction as control begins one."""
        async with self._turns, self._begin() as unit:
            yield unit

    async def post(self, made: Movement) -> Posted:
        """Book a movement."""
        async with self.begin() as unit:
            return await actions.post(made, ledger=unit.ledger)

    async def fund(self, amount: int, account: str = "wallet__usr_1", **more: Any) -> Posted:
        """Money from outside onto an account."""
        return await self.post(movement(f"fund:{account}:{more}", **{"cash__bank": -amount, account: amount}, **more))

    async def hold(self, key: str, amount: int, account: str = "wallet:usr_1", asset: str = "USD") -> Held:
        """Set an amount aside until LATER."""
        order = HoldOrder(key=key, account=account, asset=asset, amount=amount, expires_at=LATER)
        async with self.begin() as unit:
            return await actions.hold(order, ledger=unit.ledger)

    async def capture(self, hold: str, made: Movement, now: datetime = NOW) -> Posted:
        """Book what a hold was for."""
        async with self.begin() as unit:
            return await actions.capture(hold, made, ledger=unit.ledger, now=now)

    async def void(self, hold: str, now: datetime = NOW) -> bool:
        """Free what was set aside."""
        async with self.begin() as unit:
            return await actions.void(hold, ledger=unit.ledger, now=now)

    async def balance(self, account: str = "wallet:usr_1", asset: str = "USD") -> Balance:
        """What an account holds."""
        async with self.begin() as unit:
            return await actions.balance(account, asset, ledger=unit.ledger)

    async def amounts(self, account: str = "wallet:usr_1", asset: str = "USD") -> tuple[int, int]:
        """Balance and what is held of it."""
        found = await self.balance(account, asset)
        return found.balance, found.held

    async def audit(self) -> Audit:
        """Everything derived anew."""
        return await actions.audit(begin=self.begin)

    async def value(self, query: str, *values: Any) -> Any:
        """The one value that a query gives; the query is committed."""
        async with self.pool.acquire() as connection:
            return await connection.fetchval(query, *values)


@contextlib.asynccontextmanager
async def open_books(url: str, size: int = 8) -> AsyncIterator[Books]:
    """The ledger of a migrated database, on as many connections."""
    pool = await open_pool(url, size)
    try:
        yield Books(pool)
    finally:
        await pool.close()
