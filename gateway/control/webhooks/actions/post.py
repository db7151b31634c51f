"""The post: sends what is due, a slot for each endpoint, so that one that is slow holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from gateway.control.auth import ADMIN, GLOBAL, OWNER
from gateway.control.db import Begin
from gateway.control.mail import actions as mail
from gateway.control.mail.model import Message
from gateway.control.sellers.model import scope_of
from gateway.control.webhooks import addresses
from gateway.control.webhooks.actions.stores import Stores
from gateway.control.webhooks.model import Answer, Delivery, Endpoint, Sender, after, headers_of, over
from shared import log, tasks
from shared.clock import Clock
from shared.metrics import ERRORS, WEBHOOKS

#: Endpoints that are sent to at once: those that took the last message, and those that did not.
SLOTS = {False: 24, True: 8}
#: Deliveries of one endpoint that are sent at once; one that fails is asked with a single one.
AT_ONCE = {False: 5, True: 1}


class Post:
    """Takes endpoints of which something is due, and sends. `wake` is set when a slot is free again."""

    def __init__(self, sender: Sender, *, begin: Begin[Stores], clock: Clock) -> None:
        self._sender, self._begin, self._clock = sender, begin, clock
        self._running: dict[bool, set[asyncio.Task[None]]] = {False: set(), True: set()}
        self.wake = asyncio.Event()

    async def step(self) -> bool:
        """Fill the slots that are free. Never waits for a receiver."""
        for failing, running in self._running.items():
            if free := SLOTS[failing] - len(running):
                async with self._begin() as unit:
                    due = await unit.webhooks.take(failing=failing, now=self._clock.now(), count=free)
                for endpoint in due:
                    self._start(endpoint, running)
        return False

    async def idle(self) -> None:
        """Wait until nothing is being sent."""
        while running := [*self._running[False], *self._running[True]]:
            await asyncio.wait(running)

    async def close(self) -> None:
        """Let go of what is being sent; it is taken up again when its lease is over."""
        if running := [*self._running[False], *self._running[True]]:
            await tasks.end(*running)

    def _start(self, endpoint: Endpoint, running: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(self._serve(endpoint))
        running.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            running.discard(task)
            self.wake.set()
            if not task.cancelled() and (error := task.exception()) is not None:
                # Whatever it is, the others go on; this endpoint is taken up again when its lease is over.
                ERRORS.labels("worker").inc()
                log.get("webhooks").error("endpoint not served", endpoint=endpoint.id, reason=str(error)[:300])

        task.add_done_callback(ended)

    async def _serve(self, endpoint: Endpoint) -> None:
        """Send what is due of an endpoint, and write down what came of it."""
        count = AT_ONCE[endpoint.failing_since is not None]
        async with self._begin() as unit:
            due = await unit.webhooks.lease(endpoint.id, now=self._clock.now(), count=count)
        answers = await asyncio.gather(*(self._send(endpoint, one) for one in due))
        async with self._begin() as unit:
            await _write(endpoint.id, due, answers, unit=unit, clock=self._clock)

    async def _send(self, endpoint: Endpoint, delivery: Delivery) -> Answer:
        headers = headers_of(endpoint, delivery.id, delivery.body, now=self._clock.now())
        answer = await self._sender.send(endpoint.url, headers, delivery.body.encode())
        WEBHOOKS.labels("taken" if answer.is_taken else "failed").inc()
        return answer


async def _write(id: str, sent: Sequence[Delivery], answers: Sequence[Answer], *, unit: Stores, clock: Clock) -> None:
    """Keep what came of tries; an endpoint that took nothing for too long is sent nothing more."""
    endpoint = await unit.webhooks.find(id, lock=True)
    if endpoint is None:
        return
    now = clock.now()
    for delivery, answer in zip(sent, answers, strict=True):
        tried = after(delivery, answer, now)
        if tried.state == "dead":
            unit.outbox.count(WEBHOOKS.labels("dead"))
            log.get("webhooks").warning("webhook given up", delivery=tried.id, endpoint=tried.endpoint)
        await unit.webhooks.put_delivery(tried)
    if not endpoint.active:
        await unit.webhooks.give_up(id, "Its endpoint was switched off.", now)
        return
    await _judge(endpoint, answers, unit=unit, clock=clock)


async def _judge(endpoint: Endpoint, answers: Sequence[Answer], *, unit: Stores, clock: Clock) -> None:
    """Note whether an endpoint fails, switch it off when its patience is over, and plan its next turn."""
    now = clock.now()
    if words := over(endpoint, answers, now):
        await unit.webhooks.put(replace(endpoint, active=False, words=words))
        await unit.webhooks.give_up(endpoint.id, words, now)
        await _tell_owners(endpoint, words, unit=unit, clock=clock)
        return
    if answers:
        taken = any(answer.is_taken for answer in answers)
        since = None if taken else endpoint.failing_since or now
        if since != endpoint.failing_since:
            await unit.webhooks.put(replace(endpoint, failing_since=since))
    await unit.webhooks.schedule(endpoint.id)


async def _tell_owners(endpoint: Endpoint, words: str, *, unit: Stores, clock: Clock) -> None:
    """A word by mail to whoever keeps the endpoint."""
    role, scope = (ADMIN, GLOBAL) if endpoint.seller is None else (OWNER, scope_of(endpoint.seller))
    data: dict[str, Any] = {"host": addresses.read(endpoint.url, loopback=True).host, "words": words}
    for principal in await unit.accounts.holders(role, scope):
        key = f"{endpoint.id}:off:{int(clock.now().timestamp())}"
        await mail.put(Message(key=key, kind="webhook-off", principal=principal, data=data), unit=unit, clock=clock)
