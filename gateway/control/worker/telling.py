"""Telling people and programs: events become mails and webhooks as they leave the outbox, and both are sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from gateway.control.db import GONE, LOST
from gateway.control.mail import actions as mail
from gateway.control.webhooks import actions as webhooks
from gateway.control.webhooks.adapters.sender import open_sender
from gateway.control.wiring import Unit, Wiring
from gateway.control.worker.loops import forever
from shared import log
from shared.clock import Clock
from shared.errors import Retryable
from shared.events import Envelope
from shared.metrics import ERRORS, MAIL, WEBHOOKS

#: A purchase is told at once; who forgot a password waits at the mailbox.
WEBHOOKS_S, MAIL_S = 0.5, 0.5
OUTCOMES = {WEBHOOKS: ("taken", "failed", "dead"), MAIL: ("sent", "failed", "dead")}
CONCERNS = frozenset(
    {
        *("payment.paid", "payment.refunded", "payment.disputed", "payment.dispute_won", "payment.changed"),
        *("payout.changed", "transcode.completed"),
    }
)


async def take_in(envelopes: Sequence[Envelope], unit: Unit, *, clock: Clock) -> None:
    """Write down whom events are told to, in the transaction in which they leave: once, however often they do.

    An event that cannot be told is logged and does not hold up the others.
    """
    for envelope in envelopes:
        if envelope.type not in CONCERNS:
            continue
        try:
            async with unit.connection.transaction():
                await webhooks.take_in(envelope, unit=unit, clock=clock)
                await mail.take_in(envelope, unit=unit, clock=clock)
        except (*GONE, *LOST, Retryable):
            raise
        except Exception as error:  # one bad event must not stop those behind it
            ERRORS.labels("worker").inc()
            log.get("worker").error("event not told", id=envelope.id, type=envelope.type, reason=str(error)[:300])


async def tell(wiring: Wiring) -> None:
    """Send webhooks and mail, until it is cancelled."""
    begin, clock = wiring["begin"], wiring["clock"]
    for counted, outcomes in OUTCOMES.items():
        for outcome in outcomes:
            counted.labels(outcome)  # from zero on: what first appears as one does not count as a rise
    async with open_sender(loopback=wiring["settings"].webhooks_loopback) as sender:
        post = webhooks.Post(sender, begin=begin, clock=clock)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(forever("send webhooks", post.step, every_s=WEBHOOKS_S, wake=post.wake))
                group.create_task(forever("send mail", partial(send_mail, wiring), every_s=MAIL_S))
        finally:
            await post.close()


async def send_mail(wiring: Wiring) -> bool:
    """Send the mails that are due; whether there may be more."""
    return await mail.send_due(wiring["mail_desk"], site=(await wiring["portal"].read()).name)
