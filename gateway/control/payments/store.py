"""SQL of what providers tell: their events, and payments as they were when last asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from gateway.control.db import Connection
from gateway.control.payments.model import Outcome, Waiting
from gateway.control.payments.providers.base import Charge, ProviderEvent
from shared.money import decimals

#: First key of the advisory locks of payments (outbox.py and worker/turns.py have the others).
LOCK = 7320

ADD_EVENT = """
insert into provider_event (source, event_id, kind, provider_ref, at, received_at, due_at)
values ($1, $2, $3, $4, $5, $6, $6) on conflict (source, event_id) do nothing returning event_id
"""
LOCK_WAITING = """
select source, event_id, kind, provider_ref, attempts from provider_event
where handled_at is null and due_at <= $1 order by due_at limit 1 for update skip locked
"""
HANDLED = """
update provider_event set handled_at = $4, outcome = $3, attempts = attempts + 1 where source = $1 and event_id = $2
"""
PUT_OFF = """
update provider_event set due_at = $3, attempts = attempts + 1 where source = $1 and event_id = $2
"""
ALONE_WITH = "select pg_advisory_xact_lock($1, hashtext($2))"
CHARGE = """
select provider_ref, order_id as "order", state, amount, currency, fee, fee_currency, refunded, disputed, lost,
    reversed, words
from provider_charge where source = $1 and provider_ref = $2
"""
OPEN_ASSET = "insert into asset (code, decimals, kind) values ($1, $2, 'fiat') on conflict (code) do nothing"
WRITE_CHARGE = """
insert into provider_charge (
    source, provider_ref, order_id, state, amount, currency, fee, fee_currency, refunded, disputed, lost, reversed,
    words, seen_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
on conflict (source, provider_ref) do update set
    state = excluded.state, amount = excluded.amount, fee = excluded.fee, fee_currency = excluded.fee_currency,
    refunded = excluded.refunded, disputed = excluded.disputed, lost = excluded.lost, reversed = excluded.reversed,
    words = excluded.words, seen_at = excluded.seen_at
"""
WAITING = "select count(*) from provider_event where handled_at is null"
SWEEP = "delete from provider_event where handled_at < $1"


class ProviderStore:
    """Events and charges of providers, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add_events(self, events: Sequence[ProviderEvent], now: datetime) -> int:
        """Keep events; how many were new."""
        new = 0
        for event in events:
            values = (event.source, event.event_id, event.kind, event.provider_ref, event.at)
            new += await self._connection.fetchval(ADD_EVENT, *values, now) is not None
        return new

    async def lock_waiting(self, now: datetime) -> Waiting | None:
        """The event that waits longest, which nobody else handles until the transaction ends."""
        row = await self._connection.fetchrow(LOCK_WAITING, now)
        return Waiting(**row) if row else None

    async def handled(self, event: Waiting, outcome: Outcome, now: datetime) -> None:
        """An event is done with."""
        await self._connection.execute(HANDLED, event.source, event.event_id, outcome, now)

    async def put_off(self, event: Waiting, until: datetime) -> None:
        """An event could not be handled now."""
        await self._connection.execute(PUT_OFF, event.source, event.event_id, until)

    async def alone_with(self, source: str, ref: str) -> None:
        """Wait until nobody else asks for and books this payment; held until the transaction ends."""
        await self._connection.execute(ALONE_WITH, LOCK, f"{source}:{ref}")

    async def charge(self, source: str, ref: str) -> Charge | None:
        """A payment as it was when it was last asked for."""
        row = await self._connection.fetchrow(CHARGE, source, ref)
        return Charge(**row) if row else None

    async def open_assets(self, currencies: Collection[str]) -> None:
        """Let money be booked in these: what a provider took is there, whether anybody foresaw its currency or not."""
        for currency in sorted(filter(None, currencies)):
            await self._connection.execute(OPEN_ASSET, currency, decimals(currency))

    async def write_charge(self, source: str, charge: Charge, now: datetime) -> None:
        """Keep a payment as it is now."""
        await self._connection.execute(WRITE_CHARGE, source, *msgspec.structs.astuple(charge), now)

    async def waiting(self) -> int:
        """Events that are not handled."""
        return int(await self._connection.fetchval(WAITING))

    async def sweep(self, before: datetime) -> None:
        """Forget events handled by then."""
        await self._connection.execute(SWEEP, before)
