"""What is done to pay withdrawals: gather those that are due into runs, ask providers, let somebody pay by hand.

A run and its withdrawals are rows before anybody is asked, and a provider is asked under the withdrawal's id; so a
worker that dies between any two steps leaves what the next one goes on with, and nothing is paid twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

import msgspec

from gateway.control.auth import Principal, require
from gateway.control.db import Begin
from gateway.control.outbox import Outbox
from gateway.control.payees import actions as payees
from gateway.control.payments.providers.base import Payer, Payout
from gateway.control.payouts.model import LATE, PAGE, RUN, FullRun, Group, Item, PayoutRows, Run, Runs, to_csv, wait_s
from gateway.control.wallet import actions as wallet
from gateway.control.wallet.withdrawals import OWED, Withdrawal
from shared import log
from shared.clock import Clock
from shared.errors import Conflict, KeyReused, NotFound, Refused, Retryable, Unavailable, UsherError
from shared.ids import new_id
from shared.metrics import ERRORS, PAYOUTS_RETURNED
from shared.money import to_json

#: Who pays where nobody does by hand.
WORKER = "worker"
#: A provider says so where it cannot pay now.
TOO_LOW = "balance-too-low"
#: Why a payout waits whose key was another request's at the provider.
CLASH = "The provider knows the key of this payout with other values; it is asked once more under another."
NO_RUN = "There is no such payout run."


class Stores(wallet.Stores, Protocol):
    """One transaction."""

    @property
    def payouts(self) -> PayoutRows: ...
    @property
    def outbox(self) -> Outbox: ...


async def gather(payers: Mapping[str, Payer], *, begin: Begin[Stores], clock: Clock) -> int:
    """Make runs of what is due, one a rail and currency; how many. By hand there is one a day at most.

    What is due to a seller who owes something by now goes back to them before, less that.
    """
    await _send_back(begin=begin, clock=clock)
    async with begin() as unit:
        groups = await unit.payouts.due(clock.now())
    made = 0
    for group in groups:
        async with begin() as unit:
            made += await _run(group, by_hand=group.rail not in payers, unit=unit, clock=clock)
    return made


async def pay(payers: Mapping[str, Payer], *, begin: Begin[Stores], clock: Clock) -> int:
    """Ask providers to pay what is in a run; how many were paid. Then close the runs that are through."""
    async with begin() as unit:
        due = await unit.payouts.to_pay(clock.now(), RUN)
    paid = 0
    for id in due:
        try:
            paid += await _pay(id, payers, begin=begin, clock=clock)
        except Unavailable:
            raise
        except Exception as error:  # whatever it is, the payouts behind this one must not wait for it
            ERRORS.labels("worker").inc()
            log.get("payouts").error(
                "payout failed", withdrawal=id, error=type(error).__name__, reason=str(error)[:300]
            )
            async with begin() as unit:
                await unit.payouts.put_off(id, clock.now() + timedelta(seconds=wait_s(0)), refused=False, reason="")
    async with begin() as unit:
        await unit.payouts.close(clock.now())
    return paid


async def complete(id: str, rail_ref: str, *, by: Principal, unit: Stores, clock: Clock) -> FullRun:
    """Say that all of a run that is left was paid by hand. Raises Forbidden, NotFound, Conflict for one that a provider
    pays, or of which nothing is left.
    """
    require(by, "payout:approve")
    run = await _found(id, unit=unit)
    if not run.by_hand:
        raise Conflict(f"{run.rail} pays this run by itself.", code="run-not-by-hand")
    left = [item.id for item in await unit.payouts.items(id) if item.state == "paying"]
    if not left:
        raise Conflict("Nothing of this run is left to pay.", code="run-closed")
    # All are held before the first is booked, and booked by seller: whoever decides one of them waits for no account.
    held = [await unit.wallet.by_id(withdrawal, lock=True) for withdrawal in sorted(left)]
    for one in sorted((one for one in held if one is not None), key=lambda one: one.seller):
        if one.state == "paying":
            await wallet.settle(one, rail_ref, actor=by.id, place=by.place, unit=unit, clock=clock)
    await unit.payouts.close(clock.now())
    return await read(id, by=by, unit=unit)


async def runs(*, by: Principal, payouts: PayoutRows) -> Runs:
    """The last runs. Raises Forbidden."""
    require(by, "payout:approve")
    return Runs(await payouts.newest(PAGE))


async def read(id: str, *, by: Principal, unit: Stores) -> FullRun:
    """A run with its withdrawals. Raises Forbidden, NotFound."""
    require(by, "payout:approve")
    run = await _found(id, unit=unit)
    return FullRun(**msgspec.structs.asdict(run), items=await unit.payouts.items(id))


async def as_csv(id: str, *, by: Principal, place: str, unit: Stores) -> bytes:
    """The list of a run to pay by, which is recorded. Raises Forbidden, NotFound."""
    items: list[Item] = (await read(id, by=by, unit=unit)).items
    await unit.outbox.audit(by.id, "payout:export", id, after={"count": len(items)}, place=place)
    return to_csv(items)


async def late(*, payouts: PayoutRows, clock: Clock) -> int:
    """How many withdrawals should have been paid days ago."""
    return await payouts.late(clock.now() - LATE)


async def _send_back(*, begin: Begin[Stores], clock: Clock) -> None:
    """Each in a transaction of its own: of two sellers' accounts none waits for the other's."""
    async with begin() as unit:
        owing = await unit.payouts.owing(clock.now(), RUN)
    for id in owing:
        async with begin() as unit:
            held = await unit.wallet.by_id(id, lock=True)
            if held is not None and held.state == "approved" and await unit.wallet.owing([id]):
                await wallet.send_back(held, OWED, actor=WORKER, unit=unit, clock=clock)


async def _run(group: Group, *, by_hand: bool, unit: Stores, clock: Clock) -> bool:
    now = clock.now()
    due = await unit.payouts.lock_due(group, now, limit=RUN)
    run = Run(id=new_id("run"), rail=group.rail, currency=group.currency, by_hand=by_hand, created_at=now)
    if not due or not await unit.payouts.open(run, day=now.date()):
        return False
    await unit.payouts.join(run.id, [one.id for one in due], next_try_at=None if by_hand else now)
    total = to_json(sum(one.amount for one in due))
    said = {"rail": run.rail, "currency": run.currency, "count": len(due), "amount": total}
    await unit.outbox.audit(WORKER, "payout:run", run.id, after=said)
    await unit.outbox.emit("payout.run", run.id, run=run.id, **said)
    return True


async def _pay(id: str, payers: Mapping[str, Payer], *, begin: Begin[Stores], clock: Clock) -> bool:
    async with begin() as unit:
        withdrawal = await unit.wallet.by_id(id)
        if withdrawal is None or withdrawal.state != "paying":
            return False
        account = await payees.payout_account(withdrawal.seller, withdrawal.rail, payees=unit.payees)
    payer = payers.get(withdrawal.rail)
    try:
        if payer is None:
            raise Retryable(f"{withdrawal.rail} is not in use.")
        rail_ref = await _ask(withdrawal, account, payer=payer)
    except Retryable as error:
        return await _put_off(withdrawal, error, begin=begin, clock=clock)
    except KeyReused as error:
        if withdrawal.reason == CLASH:
            return await _return(withdrawal, error, begin=begin, clock=clock)
        return await _put_off(withdrawal, error, begin=begin, clock=clock)
    except Refused as error:
        if error.code == TOO_LOW:
            return await _put_off(withdrawal, error, begin=begin, clock=clock)
        return await _return(withdrawal, error, begin=begin, clock=clock)
    async with begin() as unit:
        held = await unit.wallet.by_id(id, lock=True)
        if held is None or held.state != "paying":
            return False
        await wallet.settle(held, rail_ref, actor=WORKER, unit=unit, clock=clock)
    return True


async def _ask(withdrawal: Withdrawal, account: str, *, payer: Payer) -> str:
    """The provider's name of the payout. One that was made before counts, whatever became of the account since.

    Raises KeyReused where the provider knows its key with other values and made nothing of it.
    """
    if (known := await payer.payout(withdrawal.id)) is not None:
        return known.rail_ref
    if not account:
        raise Conflict("The seller has no account there that can be paid.", code="no-payout-account")
    payout = Payout(
        id=withdrawal.id,
        account=account,
        amount=withdrawal.amount,
        currency=withdrawal.currency,
        attempt=withdrawal.tries,
    )
    try:
        return (await payer.pay_out(payout)).rail_ref
    except KeyReused:
        if (known := await payer.payout(withdrawal.id)) is not None:
            return known.rail_ref
        raise


async def _put_off(withdrawal: Withdrawal, error: UsherError, *, begin: Begin[Stores], clock: Clock) -> bool:
    """Ask again later, under another key where the provider would keep to its answer to this one.

    A key that came before may be in work there now. When it is asked next, that is made and found, or it never will be;
    and where the next key came before, too, the withdrawal goes back to its seller rather than wait for ever.
    """
    is_clash = isinstance(error, KeyReused)
    until = clock.now() + timedelta(seconds=wait_s(withdrawal.tries))
    log.get("payouts").warning("payout put off", withdrawal=withdrawal.id, rail=withdrawal.rail, reason=str(error))
    async with begin() as unit:
        await unit.payouts.put_off(
            withdrawal.id, until, refused=is_clash or error.code == TOO_LOW, reason=CLASH if is_clash else ""
        )
    return False


async def _return(withdrawal: Withdrawal, error: Refused, *, begin: Begin[Stores], clock: Clock) -> bool:
    """The rail will not pay it: it is available again, and the seller sees why."""
    PAYOUTS_RETURNED.labels(withdrawal.rail).inc()
    log.get("payouts").error("payout returned", withdrawal=withdrawal.id, rail=withdrawal.rail, reason=str(error))
    async with begin() as unit:
        held = await unit.wallet.by_id(withdrawal.id, lock=True)
        if held is not None and held.state == "paying":
            await wallet.send_back(held, str(error), actor=WORKER, unit=unit, clock=clock)
    return False


async def _found(id: str, *, unit: Stores) -> Run:
    run = await unit.payouts.by_id(id)
    if run is None:
        raise NotFound(NO_RUN)
    return run
