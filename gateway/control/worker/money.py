"""The worker's turns on money, and on rights whose time runs out."""

from __future__ import annotations

from gateway.control.offers import prices
from gateway.control.payouts import actions as payouts
from gateway.control.reconciliation import actions as reconciliation
from gateway.control.reconciliation.model import FLAG, WORDS
from gateway.control.screenings import actions as screenings
from gateway.control.wiring import Wiring
from gateway.control.worker.turns import PAY, RECONCILE, turn
from shared.metrics import PAYOUTS_LATE, PAYOUTS_RETURNED, RECON_AGE, RECON_DIFFERENCES


async def end_rights(wiring: Wiring) -> None:
    """End what plays by rights whose time is over."""
    while await screenings.end_rights(begin=wiring["begin"], clock=wiring["clock"]):
        pass


async def turn_windows(wiring: Wiring) -> None:
    """Show titles at the prices of offers that began or ended; the same from two workers is one."""
    while await prices.turn_windows(begin=wiring["begin"], clock=wiring["clock"]):
        pass


async def pay_out(wiring: Wiring) -> None:
    """Gather withdrawals that are due into runs, and ask providers to pay; one worker at a time."""
    async with turn(wiring["pool"], PAY) as mine:
        if not mine:
            return
        payers, begin, clock = wiring["providers"].payers, wiring["begin"], wiring["clock"]
        await payouts.gather(payers, begin=begin, clock=clock)
        await payouts.pay(payers, begin=begin, clock=clock)


async def reconcile(wiring: Wiring) -> None:
    """The night's own reconciliation, and those that were asked for, while the flag is on; one worker at a time."""
    if not await wiring["flags"].flag(FLAG):
        return
    async with turn(wiring["pool"], RECONCILE) as mine:
        if not mine:
            return
        begin, clock = wiring["begin"], wiring["clock"]
        await reconciliation.ask_nightly(begin=begin, clock=clock)
        await reconciliation.run_due(providers=wiring["providers"], begin=begin, clock=clock)


async def set_gauges(wiring: Wiring) -> None:
    """How the last reconciliation ended and how old it is, and which payouts are late."""
    is_on, now = await wiring["flags"].flag(FLAG), wiring["clock"].now()
    async with wiring["begin"]() as unit:
        last = await reconciliation.last(recon=unit.recon)
        PAYOUTS_LATE.set(await payouts.late(payouts=unit.payouts, clock=wiring["clock"]))
    for kind in WORDS:
        RECON_DIFFERENCES.labels(kind).set(last.counts.get(kind, 0) if is_on else 0)
    for rail in wiring["providers"].payers:
        PAYOUTS_RETURNED.labels(rail)  # from zero on: what first appears as one does not count as a rise
    since = last.finished_at or last.began_at
    RECON_AGE.set((now - since).total_seconds() if is_on and since else 0)
