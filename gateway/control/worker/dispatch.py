"""What the farm may take: offers go to Redis in order, and tickets follow the number of pieces that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from redis.asyncio import Redis

from gateway.control.jobs.leases import STOP_S
from gateway.control.outbox import OFFER, Row, Withdrawal
from gateway.control.worker.broker import Broker
from shared.jobs import cancel_key
from shared.need import Needs, Offer


class Dispatch:
    """Delivers rows of topic task, and sends tickets for what waits. `wake` is set when there may be too few."""

    def __init__(self, needs: Needs, redis: Redis, broker: Broker) -> None:
        self._needs, self._redis, self._broker = needs, redis, broker
        self.wake = asyncio.Event()

    async def deliver(self, rows: Sequence[Row]) -> int:
        """Offer and withdraw, in order. Raises redis.RedisError when Redis is away; the rows then come again."""
        for row in rows:
            if row.envelope.type == OFFER:
                await self._needs.offer(msgspec.convert(row.envelope.data, Offer))
            else:
                await self._withdraw(msgspec.convert(row.envelope.data, Withdrawal))
        self.wake.set()
        return len(rows)

    async def hasten(self) -> bool:
        """Give back what dead workers held, and send tickets where fewer wait than pieces. Raises like the two."""
        await self._needs.reclaim()
        await self._broker.top_up((await self._needs.load()).waiting)
        return False

    async def _withdraw(self, withdrawal: Withdrawal) -> None:
        await self._needs.withdraw(withdrawal.plan, is_over=withdrawal.is_over)
        if withdrawal.stop:
            await self._redis.set(cancel_key(withdrawal.stop), b"1", ex=STOP_S)
