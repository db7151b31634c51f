"""The worker's loops and what each does; all run until they are cancelled."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial

from gateway.control.accounts import actions as accounts
from gateway.control.checkout import actions as checkout
from gateway.control.flags import actions as flags
from gateway.control.idempotency import actions as idempotency
from gateway.control.jobs import actions as jobs
from gateway.control.ledger import actions as ledger
from gateway.control.mail import actions as mail
from gateway.control.outbox import EVENT, PUSH, TASK
from gateway.control.payments import actions as payments
from gateway.control.payments.providers.sandbox import Sandbox
from gateway.control.sandbox import actions as sandbox
from gateway.control.sandbox.model import NAME as SANDBOX
from gateway.control.sandbox.model import Notice
from gateway.control.uploads import actions as uploads
from gateway.control.webhooks import actions as webhooks
from gateway.control.wiring import Unit, Wiring
from gateway.control.worker import money, relay, streams, telling
from gateway.control.worker.broker import Broker
from gateway.control.worker.dispatch import Dispatch
from gateway.control.worker.loops import forever
from gateway.control.worker.turns import REAP, SWEEP, turn
from shared import seats
from shared.events import EDGE_STREAM, FARM_STREAM
from shared.jobs import QUEUES
from shared.metrics import (
    FARM_RUNNING_S,
    FARM_WAITING,
    FARM_WAITING_S,
    FARM_WORKERS,
    JOBS,
    MAIL_WAITING,
    OUTBOX_WAITING,
    PROVIDER_EVENTS_WAITING,
    WEBHOOKS_WAITING,
)

SWEEP_S, FLAGS_S, GAUGES_S, CLAIM_S, KEEP_S = 300.0, 60.0, 5.0, 15.0, 2.0
#: Seconds between two looks whether Redis lost its memory, and with it all leases.
LOOK_S = 1.0
#: How long a hold that is over may keep its amount, and how much of the ledger a balance adds up at most.
HOLDS_S, SNAPSHOT_S = 5.0, 900.0
#: Earnings become available by days, a payment that nobody hears of by minutes, what goes back at once.
SETTLE_S, PAYMENTS_S, REFUNDS_S = 60.0, 5.0, 1.0
#: What plays by a right that is over ends within so long; payouts by minutes, reconciliation by the night.
RIGHTS_S, PAYOUTS_S, RECONCILE_S = 1.0, 30.0, 10.0
#: How long a title may be shown at the price of an offer that is over.
WINDOWS_S = 5.0
#: A payer who comes back from paying waits for these two.
PROVIDER_EVENTS_S, SANDBOX_S = 0.5, 0.5


async def run(wiring: Wiring) -> None:
    """All loops at once."""
    begin, redis, events, clock = wiring["begin"], wiring["redis"], wiring["events"], wiring["clock"]
    settings = wiring["settings"]
    dispatch = Dispatch(wiring["needs"], events, Broker(settings.broker))
    deliveries: dict[str, relay.Deliver] = {
        EVENT: partial(relay.deliver_events, redis=events),
        TASK: dispatch.deliver,
        PUSH: partial(relay.deliver_pushes, redis=redis),
    }
    takers: dict[str, relay.TakeIn] = {EVENT: partial(telling.take_in, clock=clock)}
    wakes = {topic: asyncio.Event() for topic in deliveries}
    keep = partial(relay.keep_revocations, redis=redis, begin=begin, hard_end_s=settings.play_hard_end_s)
    reap_now = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for topic, deliver in deliveries.items():
            step = partial(relay.relay, topic, deliver, begin=begin, take_in=takers.get(topic))
            group.create_task(forever(f"relay {topic}", step, every_s=relay.POLL_S, wake=wakes[topic]))
        listen = partial(relay.listen, settings.database_url, list(wakes.values()))
        group.create_task(forever("listen", listen, every_s=0))
        for name, reader in _readers(wiring).items():
            group.create_task(forever(f"read {name}", reader.step, every_s=0))
            group.create_task(forever(f"claim {name}", reader.claim, every_s=CLAIM_S))
        group.create_task(forever("keep revocations", keep, every_s=KEEP_S))
        group.create_task(forever("hasten", dispatch.hasten, every_s=settings.hasten_s, wake=dispatch.wake))
        group.create_task(
            forever("handle provider events", partial(handle_provider_event, wiring), every_s=PROVIDER_EVENTS_S)
        )
        group.create_task(telling.tell(wiring))
        group.create_task(forever("look", partial(look, wiring, reap_now), every_s=LOOK_S))
        group.create_task(forever("reap", _whole(reap, wiring), every_s=settings.reaper_s, wake=reap_now))
        group.create_task(forever("sandbox", partial(run_sandbox, wiring), every_s=SANDBOX_S))
        for name, work, every_s in (
            ("sweep", sweep, SWEEP_S),
            ("copy flags", copy_flags, FLAGS_S),
            ("gauges", set_gauges, GAUGES_S),
            ("expire holds", expire_holds, HOLDS_S),
            ("settle earnings", settle_earnings, SETTLE_S),
            ("look after payments", look_after_payments, PAYMENTS_S),
            ("ask for refunds", ask_for_refunds, REFUNDS_S),
            ("ask for reversals", ask_for_reversals, REFUNDS_S),
            ("snapshots", take_snapshots, SNAPSHOT_S),
            ("end rights", money.end_rights, RIGHTS_S),
            ("turn windows", money.turn_windows, WINDOWS_S),
            ("pay out", money.pay_out, PAYOUTS_S),
            ("reconcile", money.reconcile, RECONCILE_S),
            ("gauges of money", money.set_gauges, GAUGES_S),
        ):
            group.create_task(forever(name, _whole(work, wiring), every_s=every_s))


def _readers(wiring: Wiring) -> dict[str, streams.Reader]:
    """One for each stream of Redis, as one consumer of this process."""
    begin, events, clock = wiring["begin"], wiring["events"], wiring["clock"]
    consumer = f"{socket.gethostname()}-{os.getpid()}"
    of_farm = partial(streams.take_farm, begin=begin, clock=clock)
    of_edge = partial(streams.take_edge, redis=events, begin=begin)
    of_watched = partial(streams.take_watched, begin=begin, timelines=wiring["timelines"], clock=clock)
    return {
        "farm": streams.Reader(events, FARM_STREAM, of_farm, consumer=consumer),
        "edge": streams.Reader(events, EDGE_STREAM, of_edge, consumer=consumer),
        "watched": streams.WatchReader(events, of_watched, consumer=consumer),
    }


async def look(wiring: Wiring, reap_now: asyncio.Event) -> bool:
    """Have the reaper look as soon as it can tell what was lost with a Redis."""
    if await wiring["leases"].look():
        reap_now.set()
    return False


async def reap(wiring: Wiring) -> None:
    """Offer lost work again, and tell workers which jobs are over; one worker at a time."""
    async with turn(wiring["pool"], REAP) as mine:
        if not mine:
            return
        await wiring["leases"].look()
        await jobs.reap(
            jobs.Reaper(
                begin=wiring["begin"],
                leases=wiring["leases"],
                bucket=wiring["bucket"],
                clock=wiring["clock"],
                workers=await wiring["leases"].workers(),
                patience_s=wiring["settings"].unfit_s,
            )
        )
        async with wiring["begin"]() as unit:
            over = await jobs.stopped(jobs=unit.jobs, clock=wiring["clock"])
        versions = [one.version for one in over if one.version is not None]
        await wiring["leases"].stop([one.job for one in over], versions=versions)


async def sweep(wiring: Wiring) -> None:
    """Drop what is over: logins, uploads, rows that left, revocations of dead tokens; one worker at a time."""
    clock, settings = wiring["clock"], wiring["settings"]
    async with turn(wiring["pool"], SWEEP) as mine:
        if not mine:
            return
        async with wiring["begin"]() as unit:
            await accounts.sweep(accounts=unit.accounts, clock=clock)
        await uploads.sweep(
            uploads.Ports(
                begin=wiring["begin"],
                bucket=wiring["bucket"],
                locks=wiring["upload_locks"],
                clock=clock,
                expiry_s=settings.upload_expiry_s,
            )
        )
        await _sweep_rows(wiring)
        await seats.sweep_revoked(wiring["redis"], before=int(clock.epoch()) - 2 * settings.play_hard_end_s)


async def _sweep_rows(wiring: Wiring) -> None:
    """Each in a transaction of its own: one that takes too long leaves what the others dropped."""
    clock, hard_end_s, failed = wiring["clock"], wiring["settings"].play_hard_end_s, None
    sweeps: tuple[Callable[[Unit], Awaitable[object]], ...] = (
        lambda unit: unit.outbox.sweep(revocations_s=2 * hard_end_s),
        lambda unit: unit.jobs.sweep(),
        lambda unit: unit.screenings.sweep(clock.now()),
        lambda unit: idempotency.sweep(requests=unit.idempotency, clock=clock),
        lambda unit: payments.sweep(providers=unit.providers, clock=clock),
        lambda unit: sandbox.sweep(sandbox=unit.sandbox, clock=clock),
        lambda unit: webhooks.sweep(webhooks=unit.webhooks, clock=clock),
        lambda unit: mail.sweep(mail=unit.mail, clock=clock),
    )
    for dropped in sweeps:
        try:
            async with wiring["begin"]() as unit:
                await dropped(unit)
        except Exception as error:  # told once the others had their turn
            failed = error
    if failed is not None:
        raise failed


async def run_sandbox(wiring: Wiring) -> bool:
    """Let time pass at the sandbox and send its webhooks to ourselves, through the door that all providers use."""
    provider = wiring["providers"].by_name.get(SANDBOX)
    if not isinstance(provider, Sandbox):
        return False
    begin, clock = wiring["begin"], wiring["clock"]

    async def send(notice: Notice) -> None:
        await payments.receive(provider, *provider.webhook(notice), begin=begin, clock=clock)

    more = await sandbox.mature(begin=begin, clock=clock)
    return await sandbox.deliver(send, begin=begin, clock=clock) or more


async def handle_provider_event(wiring: Wiring) -> bool:
    """Handle the event of a payment provider that waits longest; whether there was one."""
    settle = [checkout.booking(wiring["shop"])]
    return await payments.handle(wiring["providers"], begin=wiring["begin"], clock=wiring["clock"], settle=settle)


async def copy_flags(wiring: Wiring) -> None:
    """Write all flags to Redis, where it may have lost them."""
    await flags.copy_all(begin=wiring["begin"], redis=wiring["redis"])


async def expire_holds(wiring: Wiring) -> None:
    """Free what holds that are over set aside; workers share them out among themselves."""
    await ledger.expire(begin=wiring["begin"], now=wiring["clock"].now())


async def settle_earnings(wiring: Wiring) -> None:
    """Make earnings available whose days have passed, all of them; the same from two workers is one."""
    while await checkout.settle(shop=wiring["shop"]) >= checkout.AT_ONCE:
        pass


async def look_after_payments(wiring: Wiring) -> None:
    """Ask providers about payments that should have ended; the same from two workers is one."""
    await checkout.look_after(shop=wiring["shop"])


async def ask_for_refunds(wiring: Wiring) -> None:
    """Ask providers to give back what is to be given back; the same from two workers is one."""
    await checkout.ask_refunds(shop=wiring["shop"])


async def ask_for_reversals(wiring: Wiring) -> None:
    """Ask providers to take from sellers' accounts there what the books took; the same from two workers is one."""
    await checkout.ask_reversals(shop=wiring["shop"])


async def take_snapshots(wiring: Wiring) -> None:
    """Keep the balances that are added up when they are asked for; the same from two workers is one."""
    await ledger.snapshot(begin=wiring["begin"])


async def set_gauges(wiring: Wiring) -> None:
    """Count what waits and what is under way."""
    async with wiring["begin"]() as unit:
        OUTBOX_WAITING.set(await unit.outbox.waiting())
        PROVIDER_EVENTS_WAITING.set(await payments.waiting(providers=unit.providers))
        WEBHOOKS_WAITING.set(await webhooks.waiting(webhooks=unit.webhooks))
        MAIL_WAITING.set(await mail.waiting(mail=unit.mail))
        counts = await unit.jobs.count_by_state()
    for state in ("queued", "encoding", "finalising"):
        JOBS.labels(state).set(counts.get(state, 0))
    load, workers = await wiring["needs"].load(), await wiring["needs"].workers()
    for queue in QUEUES:
        FARM_WAITING_S.labels(queue).set(load.waiting_s[queue])
        FARM_RUNNING_S.labels(queue).set(load.running_s[queue])
        FARM_WAITING.labels(queue).set(load.waiting[queue])
        FARM_WORKERS.labels(queue).set(sum(queue in worker.queues for worker in workers))


def _whole(work: Callable[[Wiring], Awaitable[None]], wiring: Wiring) -> Callable[[], Awaitable[bool]]:
    async def step() -> bool:
        await work(wiring)
        return False

    return step
