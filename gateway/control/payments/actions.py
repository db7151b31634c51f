"""What is done with what providers tell: keep it, then, once, ask for the payment as it is now and book that.

What is booked follows from the payment alone, so events may come twice, in any order and days late.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol, TypeVar

import msgspec

from gateway.control.db import Begin
from gateway.control.outbox import Outbox
from gateway.control.payees import actions as payees
from gateway.control.payees.model import PayeeRows
from gateway.control.payments.model import KEPT, Outcome, ProviderRows, Waiting, put_off_s
from gateway.control.payments.providers.base import Charge, Provider
from gateway.control.payments.providers.open import Providers
from shared import log
from shared.clock import Clock
from shared.errors import NotFound, UsherError
from shared.metrics import PROVIDER_EVENTS


class Stores(Protocol):
    """One transaction."""

    @property
    def providers(self) -> ProviderRows: ...
    @property
    def payees(self) -> PayeeRows: ...
    @property
    def outbox(self) -> Outbox: ...


Unit = TypeVar("Unit", bound=Stores)
#: Books a provider's payment as it is now, in the transaction; called again with the same payment it books nothing.
Settle = Callable[[str, Charge, Unit], Awaitable[None]]


async def receive(
    provider: Provider, headers: Mapping[str, str], body: bytes, *, begin: Begin[Stores], clock: Clock
) -> int:
    """Check a webhook and keep what it tells; how many events were new. Raises BadWebhook, having kept nothing."""
    events = provider.events(headers, body)
    if not events:
        return 0
    async with begin() as unit:
        new = await unit.providers.add_events(events, clock.now())
    PROVIDER_EVENTS.labels(provider.name).inc(new)
    return new


async def handle(
    providers: Providers, *, begin: Begin[Unit], clock: Clock, settle: Sequence[Settle[Unit]] = ()
) -> bool:
    """Handle the event that waits longest; False when none does. One that fails waits, longer each time.

    The transaction stays open while the provider is asked, within the provider's deadline: between what is asked for
    and what is booked there must be no booking of another moment.
    """
    event: Waiting | None = None
    try:
        async with begin() as unit:
            event = await unit.providers.lock_waiting(clock.now())
            if event is not None:
                provider = providers.named(event.source)
                outcome = await _handled(event, provider, settle=settle, unit=unit, clock=clock)
                await unit.providers.handled(event, outcome, clock.now())
    except Exception as error:  # whatever it is, the events behind this one must not wait for it
        if event is None:
            raise
        await _put_off(event, error, begin=begin, clock=clock)
        if not isinstance(error, UsherError):
            raise
    return event is not None


async def look(
    ref: str, *, provider: Provider, unit: Unit, clock: Clock, settle: Sequence[Settle[Unit]] = ()
) -> Charge:
    """Ask for a payment and book it as it is now, without waiting for a webhook. Raises as `Provider.find`."""
    charge = await refresh(ref, provider=provider, unit=unit)
    await _take_in(provider.name, charge, settle=settle, unit=unit, clock=clock)
    return charge


async def alone_with(ref: str, *, rail: str, unit: Stores) -> None:
    """Until the transaction ends nobody else asks for this payment to book it."""
    await unit.providers.alone_with(rail, ref)


async def refresh(ref: str, *, provider: Provider, unit: Stores) -> Charge:
    """A payment as it is now; until the transaction ends nobody else asks for it to book it. Raises as `find`."""
    await unit.providers.alone_with(provider.name, ref)
    charge = await provider.find(ref)
    if charge.provider_ref == ref:
        return charge
    # It was named by another of its names, and is locked by none: now by its own.
    await unit.providers.alone_with(provider.name, charge.provider_ref)
    return await provider.find(charge.provider_ref)


async def waiting(*, providers: ProviderRows) -> int:
    """How many events are not handled."""
    return await providers.waiting()


async def sweep(*, providers: ProviderRows, clock: Clock) -> None:
    """Forget events that no provider sends again."""
    await providers.sweep(clock.now() - KEPT)


async def _handled(
    event: Waiting, provider: Provider, *, settle: Sequence[Settle[Unit]], unit: Unit, clock: Clock
) -> Outcome:
    try:
        if event.kind == "account":
            await payees.follow(
                event.provider_ref, provider=provider, payees=unit.payees, outbox=unit.outbox, clock=clock
            )
            return "followed"
        charge = await refresh(event.provider_ref, provider=provider, unit=unit)
    except NotFound:
        return "gone"
    return await _take_in(provider.name, charge, settle=settle, unit=unit, clock=clock)


async def _take_in(source: str, charge: Charge, *, settle: Sequence[Settle[Unit]], unit: Unit, clock: Clock) -> Outcome:
    known = await unit.providers.charge(source, charge.provider_ref)
    await unit.providers.open_assets({charge.currency, charge.fee_currency})
    for book in settle:
        await book(source, charge, unit)
    if known == charge:
        return "same"
    await unit.providers.write_charge(source, charge, clock.now())
    told = msgspec.structs.asdict(charge)
    del told["words"]
    told["newly_lost"] = charge.lost - (known.lost if known else 0)
    await unit.outbox.emit("payment.changed", charge.order, provider=source, **told)
    return "booked"


async def _put_off(event: Waiting, error: Exception, *, begin: Begin[Stores], clock: Clock) -> None:
    wait_s = put_off_s(event.attempts)
    log.get("payments").warning(
        "event put off", provider=event.source, id=event.event_id, error=type(error).__name__, wait_s=wait_s
    )
    async with begin() as unit:
        await unit.providers.put_off(event, clock.now() + timedelta(seconds=wait_s))
