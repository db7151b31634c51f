"""What is done at the sandbox: payments begin, payers pay, time passes, and each change is told by a webhook."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

from gateway.control.db import Begin
from gateway.control.payments.providers.base import Order
from gateway.control.sandbox import model
from gateway.control.sandbox.model import Notice, Payment, Payments, Refund
from shared.clock import Clock
from shared.errors import Invalid, KeyReused, NotFound
from shared.ids import new_id

#: Rows that one transaction takes on.
AT_ONCE = 100
KEPT = timedelta(days=7)


class Stores(Protocol):
    """One transaction."""

    @property
    def sandbox(self) -> Payments: ...


async def start(order: Order, *, sandbox: Payments, clock: Clock) -> Payment:
    """A payment that waits for its payer, one an order. Raises Invalid, KeyReused."""
    payment = model.payment_of(order, new_id("sbx"), clock.now())
    if await sandbox.add(payment):
        return payment
    known = await sandbox.of_order(order.id)
    if known is None or known.hash != payment.hash:
        raise KeyReused("This payment was begun before with other values.")
    return known


async def find(ref: str, *, sandbox: Payments) -> Payment:
    """A payment. Raises NotFound."""
    return _known(await sandbox.find(ref))


async def change(ref: str, how: Callable[[Payment], Payment], *, sandbox: Payments, clock: Clock) -> Payment:
    """Change a payment and tell of it, where that makes a difference. Raises NotFound, and what `how` raises."""
    before = _known(await sandbox.lock(ref))
    return await _write(before, how(before), sandbox=sandbox, now=clock.now())


async def refund(refund: Refund, *, sandbox: Payments, clock: Clock) -> Payment:
    """Give back, once per key. Raises Invalid, KeyReused, Conflict, NotFound."""
    if refund.amount <= 0:
        raise Invalid("A refund has an amount above zero.", code="bad-amount")
    before = _known(await sandbox.lock(refund.ref))
    known = await sandbox.refund_named(refund.key)
    if known is not None:
        if known != refund:
            raise KeyReused("This refund was made before, of another amount.")
        return before
    after = model.refunded(before, refund.amount)
    if not await sandbox.add_refund(refund):
        raise KeyReused("This refund was made before, of another payment.")
    return await _write(before, after, sandbox=sandbox, now=clock.now())


async def listed(since: datetime, until: datetime, *, after: str, sandbox: Payments) -> list[Payment]:
    """A page of the payments that were begun or changed from `since` to before `until`, behind the ref `after`."""
    return await sandbox.listed(since, until, after=after, limit=AT_ONCE)


async def mature(*, begin: Begin[Stores], clock: Clock) -> bool:
    """Let happen what is due: slow banks pay, disputes come, pages expire. Whether there may be more."""
    now = clock.now()
    async with begin() as unit:
        due = await unit.sandbox.lock_due(now, AT_ONCE)
        for payment in due:
            await _write(payment, model.matured(payment, now), sandbox=unit.sandbox, now=now)
    return len(due) == AT_ONCE


async def deliver(send: Callable[[Notice], Awaitable[None]], *, begin: Begin[Stores], clock: Clock) -> bool:
    """Send webhooks that were not sent, once each or, after a crash, again. Whether there may be more."""
    async with begin() as unit:
        notices = await unit.sandbox.lock_untold(AT_ONCE)
        for notice in notices:
            await send(notice)
        if notices:
            await unit.sandbox.told([notice.id for notice in notices], clock.now())
    return len(notices) == AT_ONCE


async def sweep(*, sandbox: Payments, clock: Clock) -> None:
    """Forget webhooks that were taken in long ago."""
    await sandbox.sweep(clock.now() - KEPT)


async def _write(before: Payment, after: Payment, *, sandbox: Payments, now: datetime) -> Payment:
    if after != before:
        await sandbox.write(after)
        await sandbox.tell(Notice(new_id("evt"), after.ref, now))
    return after


def _known(payment: Payment | None) -> Payment:
    if payment is None:
        raise NotFound("There is no such payment.")
    return payment
