"""What the farm may take: offers go to Redis in order, and tickets follow the number of pieces that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
from redis.asyncio import Redis

from gateway.control import outbox
from gateway.control.jobs.leases import STOP_S
from gateway.control.outbox import Row, Withdrawal
from gateway.control.worker.broker import Broker
from gateway.control.worker.relay import one_by_one
from shared.errors import Invalid
from shared.events import Envelope
from shared.jobs import cancel_key
from shared.need import Needs, Offer


class Dispatch:
    """Delivers rows of topic task, and sends tickets for what waits. `wake` is set when there may be too few."""

    def __init__(self, needs: Needs, redis: Redis, broker: Broker) -> None:
        self._needs, self._redis, self._broker = needs, redis, broker
        self.wake = asyncio.Event()

    async def deliver(self, rows: Sequence[Row]) -> Mapping[int, str]:
        """Offer and withdraw, in order. Raises redis.RedisError when Redis is away; the rows then come again."""
        aside = await one_by_one(rows, self._hand_over)
        self.wake.set()
        return aside

    async def hasten(self) -> bool:
        """Give back what dead workers held, and send tickets where fewer wait than pieces. Raises like the two."""
        await self._needs.reclaim()
        await self._broker.top_up((await self._needs.load()).waiting)
        return False

    async def _hand_over(self, envelope: Envelope) -> None:
        match envelope.type:
            case outbox.OFFER:
                await self._needs.offer(msgspec.convert(envelope.data, Offer))
            case outbox.WITHDRAWAL:
                await self._withdraw(msgspec.convert(envelope.data, Withdrawal))
            case _:
                raise Invalid("There is no such task.")

    async def _withdraw(self, withdrawal: Withdrawal) -> None:
        await self._needs.withdraw(withdrawal.plan, is_over=withdrawal.is_over)
        if withdrawal.stop:
            await self._redis.set(cancel_key(withdrawal.stop), b"1", ex=STOP_S)
