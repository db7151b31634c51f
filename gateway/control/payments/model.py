"""Events of providers as rows that wait to be handled, and the rows the actions need."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

import msgspec

from gateway.control.payments.providers.base import Charge, ProviderEvent

#: A webhook's body is read up to here; those of card companies are some ten kilobytes.
MAX_WEBHOOK_BYTES = 512 << 10
#: Wait after the first failure of an event, doubled each time up to the longest.
FIRST_S, LONGEST_S = 2, 3600
#: How long a handled event is known, so that it is not handled again: providers send it anew for three days.
KEPT = timedelta(days=30)

#: `gone`: the provider knows nothing of it, so it is not about us.
Outcome = Literal["booked", "same", "gone", "followed"]


class Waiting(msgspec.Struct, frozen=True):
    """An event that is to be handled."""

    source: str
    event_id: str
    kind: Literal["charge", "account"]
    provider_ref: str
    attempts: int


class ProviderRows(Protocol):
    """What the actions ask of the rows."""

    async def add_events(self, events: Sequence[ProviderEvent], now: datetime) -> int: ...
    async def lock_waiting(self, now: datetime) -> Waiting | None: ...
    async def handled(self, event: Waiting, outcome: Outcome, now: datetime) -> None: ...
    async def put_off(self, event: Waiting, until: datetime) -> None: ...
    async def alone_with(self, source: str, ref: str) -> None: ...
    async def charge(self, source: str, ref: str) -> Charge | None: ...
    async def open_assets(self, currencies: Collection[str]) -> None: ...
    async def write_charge(self, source: str, charge: Charge, now: datetime) -> None: ...
    async def waiting(self) -> int: ...
    async def sweep(self, before: datetime) -> None: ...


def put_off_s(attempts: int) -> int:
    """Seconds until an event is tried again that failed so many times before."""
    return min(FIRST_S << min(attempts, 20), LONGEST_S)
