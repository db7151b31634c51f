"""Webhooks of providers: checked, kept before they are work, handled once in any order, refused with nothing kept."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from msgspec.structs import replace
from stripe import WebhookSignature

from gateway.control.payments import actions
from gateway.control.payments.model import MAX_WEBHOOK_BYTES, put_off_s
from gateway.control.payments.providers import stripe_client
from gateway.control.payments.providers.base import Charge, Provider
from gateway.control.payments.providers.open import Providers
from gateway.control.payments.providers.stripe import Stripe
from gateway.control.worker import process
from shared.clock import ManualClock
from shared.settings import ControlSettings
from tests.fakes.stripe_server import Fault
from tests.support.control import code_of
from tests.support.patience import until
from tests.support.providers import SECRET, SandboxHands, Webhook, order
from tests.support.till import DOOR, Till, open_till

DAY_S = 86_400


@pytest.fixture
async def till(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Till]:
    """A control plane with a fake Stripe."""
    async with open_till(settings, clock) as made:
        yield made


async def test_webhook_is_kept_first_and_handled_once_however_often_it_comes(till: Till) -> None:
    ref = await till.paid()
    webhooks = await till.hands.webhooks()
    assert {await till.send(one) for one in webhooks} == {204}
    assert 2 * await till.kept() == len(webhooks) and till.booked == []
    assert await till.work() == await till.kept()
    assert (await till.known(ref)) == await till.hands.provider.find(ref)
    events = await till.control.events("payment.changed")
    assert [(one["subject"], one["data"]["state"], one["data"]["amount"]) for one in events] == [
        ("pch_1", "paid", 1250)
    ]
    assert {await till.send(one) for one in webhooks} == {204}
    assert await till.work() == 0


async def test_books_are_the_same_whatever_the_order_in_which_webhooks_come_and_are_handled(till: Till) -> None:
    hands, finals = till.hands, []
    for n, chance in enumerate(map(random.Random, range(6))):
        hands.server.events.clear()
        ref = (await hands.provider.start(order(f"pch_{n}"))).provider_ref
        steps = [hands.pay(ref, "decline"), hands.pay(ref, "approve"), hands.provider.refund(ref, 400, f"k{n}"),
                 hands.dispute(ref), hands.dispute(ref, won=False)]  # fmt: skip
        held: list[Webhook] = []
        for step in steps:
            await step
            sent = await hands.webhooks()
            chance.shuffle(sent)
            for one in sent[: chance.randrange(len(sent))]:
                await till.send(one)
            held += sent
            await till.work(chance.randrange(3))
        chance.shuffle(held)
        for one in held:
            assert await till.send(one) == 204
        await till.work()
        charge = await till.known(ref)
        assert charge == await hands.provider.find(ref) == till.booked[-1]
        finals.append(replace(charge, provider_ref="", order=""))
    assert [(one.state, one.refunded, one.disputed) for one in set(finals)] == [("paid", 400, 850)]


async def test_each_order_of_four_events_ends_in_the_same_books(till: Till) -> None:
    ref = await till.paid()
    await till.hands.provider.refund(ref, 400, "k1")
    wanted = {"checkout.session.completed", "payment_intent.succeeded", "refund.created", "charge.refunded"}
    till.hands.server.events[:] = [one for one in till.hands.server.events if one["type"] in wanted]
    once = till.hands.server.deliveries(SECRET)[: len(wanted)]
    for chosen in itertools.permutations(once):
        await till.control.rows("truncate provider_event, provider_charge")
        for one in chosen:
            await till.send(one)
        assert await till.work() == len(wanted)
        assert (await till.known(ref)) == await till.hands.provider.find(ref) == till.booked[-1]
    assert len(set(till.booked)) == 1


async def test_webhook_that_comes_three_days_late_counts(till: Till) -> None:
    ref = await till.paid()
    events = [{**event, "created": int(time.time()) - 3 * DAY_S} for event in till.hands.server.events]
    till.hands.server.events[:] = events
    for one in await till.hands.webhooks():
        assert await till.send(one) == 204
    await till.work()
    assert (await till.known(ref)) == await till.hands.provider.find(ref)


async def test_forged_old_and_oversized_webhooks_are_refused_and_nothing_is_kept(till: Till) -> None:
    await till.paid()
    headers, body = (await till.hands.webhooks())[0]
    old = till.hands.server.deliveries(SECRET, at=int(time.time()) - 301)[0]
    forged = till.hands.server.deliveries("whsec_other")[0]
    for one in (({}, body), (headers, body + b" "), old, forged):
        answer = await till.control.http.post(DOOR, content=one[1], headers=one[0])
        assert code_of(answer) == (400, "bad-webhook")
    huge = b"x" * (10 << 20)
    answer = await till.control.http.post(DOOR, content=huge, headers=headers)
    assert code_of(answer) == (413, "too-large")
    answer = await till.control.http.post("/v1/webhooks/nobody", content=body, headers=headers)
    assert code_of(answer) == (404, "not-found")
    answer = await till.control.http.post("/v1/webhooks/sandbox", content=body, headers=headers)
    assert code_of(answer) == (400, "bad-webhook")
    assert await till.kept() == 0


async def test_body_without_a_length_is_not_read_past_the_limit(till: Till) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1 << 16
            yield b"x" * (1 << 16)

    answer = await till.control.http.post(DOOR, content=_first(endless(), 10 << 20))
    assert code_of(answer) == (413, "too-large")
    assert read <= MAX_WEBHOOK_BYTES + (2 << 16)
    assert await till.kept() == 0


async def _first(pieces: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    sent = 0
    async for piece in pieces:
        yield piece
        sent += len(piece)
        if sent >= most:
            return


async def test_signed_webhook_that_holds_no_event_is_refused(till: Till) -> None:
    for body in (b"", b"[]", b"{}", b'{"id": 5}', b"\xff", b'{"id":"e","type":"charge.x","created":1e99,"data":{}}'):
        text = body.decode("latin-1")
        signed = WebhookSignature.generate_signature_header(text, SECRET)
        answer = await till.control.http.post(DOOR, content=text.encode(), headers={"stripe-signature": signed})
        assert code_of(answer) == (400, "bad-webhook"), body
    assert await till.kept() == 0


async def test_event_of_a_payment_that_is_not_ours_is_done_with(till: Till) -> None:
    await till.paid()
    for one in await till.hands.webhooks():
        await till.send(one)
    for folder in till.hands.server.folders.values():
        folder.clear()
    await till.work()
    rows = await till.control.rows("select outcome, count(*) as n from provider_event group by outcome")
    assert rows == [{"outcome": "gone", "n": await till.kept()}]
    assert till.booked == []


@pytest.mark.parametrize("fault", ["401", "429", "500", "cut", "timeout after"])
async def test_event_waits_while_the_provider_is_away_and_others_do_not_wait_for_it(
    till: Till, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref, now, provider = await till.paid(), [1000.0], till.hands.provider
    monkeypatch.setattr(stripe_client, "monotonic", lambda: now[0])
    for one in await till.hands.webhooks():
        await till.send(one)
    waiting = await till.kept()
    # The client asks again by itself where a connection that was used before is cut.
    till.hands.server.fail(*[fault] * 4 * waiting, reads=True)
    with monkeypatch.context() as hasty:
        hasty.setattr(stripe_client, "CALL_S", 0.3)
        hasty.setattr(stripe_client, "RETRIES", 0)
        provider._made = provider._make(till.hands.server.key)
        assert await till.work() == waiting
    assert await till.work() == 0 and till.booked == []
    till.hands.server.recover()
    now[0] += stripe_client.AWAY_S
    till.control.clock.advance(put_off_s(0))
    assert await till.work() == waiting
    assert (await till.known(ref)) == await till.hands.provider.find(ref)
    assert [put_off_s(n) for n in (0, 1, 5, 11, 10_000)] == [2, 4, 64, 3600, 3600]


async def test_what_cannot_be_booked_is_not_kept_and_comes_again(till: Till) -> None:
    ref = await till.paid()
    for one in (await till.hands.webhooks())[:1]:
        await till.send(one)
    till.broken.append(ValueError("a bug"))
    with pytest.raises(ValueError, match="a bug"):
        await till.work()
    assert await till.known(ref) is None and await till.control.events("payment.changed") == []
    assert await till.work() == 0
    till.control.clock.advance(put_off_s(0))
    assert await till.work() == 1
    assert (await till.known(ref)) == await till.hands.provider.find(ref)


async def test_payer_who_comes_back_before_the_webhook_is_booked_at_once(till: Till) -> None:
    ref = await till.paid()
    wiring = till.control.wiring
    async with wiring["begin"]() as unit:
        charge = await actions.look(
            ref, provider=till.hands.provider, unit=unit, clock=wiring["clock"], settle=[till.book]
        )
    assert charge.state == "paid" and till.booked == [charge] and await till.known(ref) == charge
    for one in await till.hands.webhooks():
        await till.send(one)
    await till.work()
    assert set(till.booked) == {charge} and len(await till.control.events("payment.changed")) == 1


class Gate:
    """Stripe, whose first answer about a session is on its way for as long as the test wants."""

    def __init__(self, provider: Stripe) -> None:
        self._provider = provider
        self.answered, self.opened = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    async def find(self, ref: str) -> Charge:
        """As it was when it was asked for."""
        charge = await self._provider.find(ref)
        if ref == charge.provider_ref and not self.answered.is_set():
            self.answered.set()
            await self.opened.wait()
        return charge


async def test_two_workers_never_book_an_older_payment_over_a_newer_one(till: Till) -> None:
    ref = await till.paid()
    by_intent = [one for one in till.hands.server.deliveries(SECRET) if b'"payment_intent.succeeded"' in one[1]]
    gate, wiring = Gate(till.hands.provider), till.control.wiring
    gated = Providers(wiring["providers"].rails, {"stripe": cast(Provider, gate)})

    def worker() -> asyncio.Task[bool]:
        return asyncio.create_task(
            actions.handle(gated, begin=wiring["begin"], clock=wiring["clock"], settle=[till.book])
        )

    await till.send(by_intent[0])
    first = worker()
    await gate.answered.wait()
    await till.hands.provider.refund(ref, 400, "k1")
    by_session = [one for one in till.hands.server.deliveries(SECRET) if b'"checkout.session.completed"' in one[1]]
    await till.send(by_session[0])
    second = worker()

    async def waits() -> bool:
        asked = "select 1 from pg_locks where locktype = 'advisory' and not granted"
        return second.done() or bool(await till.control.rows(asked))

    await until(waits)
    gate.opened.set()
    assert await asyncio.gather(first, second) == [True, True]
    assert [charge.refunded for charge in till.booked] == [0, 400]
    assert (await till.known(ref)) == await till.hands.provider.find(ref)


async def test_handled_events_are_forgotten_once_nobody_sends_them_again(till: Till) -> None:
    await till.paid()
    for one in await till.hands.webhooks():
        await till.send(one)
    await till.work()
    await process.sweep(till.control.wiring)
    assert await till.kept() > 0
    till.control.clock.advance(31 * DAY_S)
    await process.sweep(till.control.wiring)
    assert await till.kept() == 0


async def test_what_a_bank_keeps_is_told_without_what_it_kept_before(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref, provider, wiring = await till.paid(), till.hands.provider, till.control.wiring
    charge = await provider.find(ref)
    for lost in (300, 500, 500):

        async def find(_: str, lost: int = lost) -> Charge:
            return replace(charge, disputed=lost, lost=lost)

        monkeypatch.setattr(provider, "find", find)
        async with wiring["begin"]() as unit:
            await actions.look(ref, provider=provider, unit=unit, clock=wiring["clock"], settle=[till.book])
    told = [(one["data"]["lost"], one["data"]["newly_lost"]) for one in await till.control.events("payment.changed")]
    assert told == [(300, 300), (500, 200)]


async def test_sandbox_tells_control_by_the_same_door(till: Till) -> None:
    hands = SandboxHands(till.control)
    ref = (await hands.provider.start(order())).provider_ref
    await hands.pay(ref, "dispute won")
    seen = []
    for _ in range(3):
        while await process.run_sandbox(till.control.wiring):
            pass
        await till.work()
        seen.append((till.booked[-1].state, till.booked[-1].disputed))
        till.control.clock.advance(30)
    assert seen == [("paid", 0), ("paid", 1250), ("paid", 0)]
    rows = await till.control.rows("select source, outcome from provider_event")
    assert [tuple(row.values()) for row in rows] == [("sandbox", "booked")] * 3
