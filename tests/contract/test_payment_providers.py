"""What every payment provider holds: the sandbox on a real Postgres, Stripe's SDK on a fake Stripe."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from gateway.control.payments.providers import stripe_lists
from gateway.control.payments.providers.base import Charge
from gateway.control.sandbox import actions as sandbox
from shared.errors import BadWebhook, Conflict, Invalid, KeyReused, NotFound, UsherError
from tests.support.control import Control
from tests.support.providers import Hands, SandboxHands, order, ref_of, stripe_hands


@pytest.fixture
async def at_stripe() -> AsyncIterator[Hands]:
    """Stripe's SDK on a fake Stripe."""
    async with stripe_hands() as made:
        yield made


@pytest.fixture
def at_sandbox(control: Control) -> Hands:
    """The sandbox of a control plane."""
    return SandboxHands(control)


@pytest.fixture(params=["sandbox", "stripe"])
def hands(request: pytest.FixtureRequest) -> Hands:
    """Every provider."""
    made: Hands = request.getfixturevalue(f"at_{request.param}")
    return made


async def paid(hands: Hands, id: str = "pch_1", **others: object) -> str:
    """The ref of a payment that was made."""
    ref = ref_of(await hands.provider.start(order(id, **others)))
    await hands.pay(ref, "approve")
    return ref


async def refused(kind: type[UsherError], asked: object) -> None:
    """Hold that a call is refused."""
    with pytest.raises(kind):
        await asked  # type: ignore[misc]


async def test_payment_that_waits_is_open_and_one_that_was_made_is_paid_with_its_fee(hands: Hands) -> None:
    ref = ref_of(await hands.provider.start(order()))
    assert await hands.provider.find(ref) == Charge(
        provider_ref=ref, order="pch_1", state="open", amount=1250, currency="USD", fee_currency="USD"
    )
    await hands.pay(ref, "approve")
    fee = hands.provider.quote(1250, "USD").fee
    assert fee == 67
    assert await hands.provider.find(ref) == Charge(
        provider_ref=ref, order="pch_1", state="paid", amount=1250, currency="USD", fee=fee, fee_currency="USD"
    )


async def test_same_order_again_is_the_same_payment_and_another_with_its_id_is_refused(hands: Hands) -> None:
    first = await hands.provider.start(order())
    assert await hands.provider.start(order()) == first
    await refused(KeyReused, hands.provider.start(order(amount=1300)))
    assert (await hands.provider.start(order("pch_2"))).provider_ref != first.provider_ref


async def test_same_order_at_once_many_times_is_one_payment(hands: Hands) -> None:
    started = await asyncio.gather(*(hands.provider.start(order()) for _ in range(8)))
    assert len({one.provider_ref for one in started}) == 1


@pytest.mark.parametrize("amount", [0, -1, 49])
async def test_amount_that_is_too_small_is_refused(hands: Hands, amount: int) -> None:
    await refused(Invalid, hands.provider.start(order(amount=amount)))


async def test_declined_payer_may_try_another_card(hands: Hands) -> None:
    ref = ref_of(await hands.provider.start(order()))
    await hands.pay(ref, "decline")
    declined = await hands.provider.find(ref)
    assert (declined.state, "declined" in declined.words) == ("open", True)
    await hands.pay(ref, "approve")
    found = await hands.provider.find(ref)
    assert (found.state, found.words) == ("paid", "")


@pytest.mark.parametrize(("passed", "state"), [(True, "paid"), (False, "open")])
async def test_bank_asks_the_payer_before_it_pays(hands: Hands, passed: bool, state: str) -> None:
    ref = ref_of(await hands.provider.start(order()))
    await hands.pay(ref, "secure")
    assert (await hands.provider.find(ref)).state == "open"
    await hands.answer(ref, passed=passed)
    assert (await hands.provider.find(ref)).state == state


async def test_what_is_set_aside_is_captured_once(hands: Hands) -> None:
    ref = await paid(hands, hold=True)
    held = await hands.provider.find(ref)
    assert (held.state, held.fee) == ("authorized", 0)
    first = await hands.provider.capture(ref)
    assert (first.state, first.fee) == ("paid", 67)
    assert await hands.provider.capture(ref) == first
    await refused(Conflict, hands.provider.void(ref))


async def test_what_is_set_aside_or_open_can_be_let_go_and_stays_so(hands: Hands) -> None:
    for ref in (await paid(hands, hold=True), ref_of(await hands.provider.start(order("pch_2")))):
        first = await hands.provider.void(ref)
        assert first.state == "voided"
        assert await hands.provider.void(ref) == first
        await refused(Conflict, hands.provider.capture(ref))


async def test_refunds_add_up_once_per_key_to_what_was_paid(hands: Hands) -> None:
    ref, give = await paid(hands), hands.provider.refund
    assert [(await give(ref, 400, "k1")).refunded, (await give(ref, 400, "k1")).refunded] == [400, 400]
    await refused(KeyReused, give(ref, 401, "k1"))
    await refused(Conflict, give(ref, 851, "k2"))
    assert (await give(ref, 850, "k3")).refunded == 1250
    await refused(Conflict, give(ref, 1, "k4"))
    assert (await give(ref, 850, "k3")).refunded == 1250


async def test_same_refund_at_once_many_times_is_one(hands: Hands) -> None:
    ref = await paid(hands)
    await asyncio.gather(*(hands.provider.refund(ref, 300, "k1") for _ in range(6)))
    assert (await hands.provider.find(ref)).refunded == 300


async def test_refund_of_what_was_not_paid_or_of_nothing_is_refused(hands: Hands) -> None:
    open_ref = ref_of(await hands.provider.start(order("pch_2")))
    await refused(Conflict, hands.provider.refund(open_ref, 100, "k1"))
    ref = await paid(hands)
    for amount in (0, -5):
        await refused(Invalid, hands.provider.refund(ref, amount, "k2"))
    assert (await hands.provider.find(ref)).refunded == 0


@pytest.mark.parametrize(("won", "left"), [(True, 0), (False, 1250)])
async def test_dispute_takes_the_amount_until_it_is_won_and_for_good_when_it_is_lost(
    hands: Hands, won: bool, left: int
) -> None:
    ref = await paid(hands)
    await hands.dispute(ref)
    disputed = await hands.provider.find(ref)
    assert (disputed.state, disputed.disputed, disputed.lost) == ("paid", 1250, 0)
    await hands.dispute(ref, won=won)
    decided = await hands.provider.find(ref)
    assert (decided.disputed, decided.lost) == (left, left)


async def test_payment_that_nobody_knows_is_not_found(hands: Hands) -> None:
    for ask in (hands.provider.find, hands.provider.capture, hands.provider.void):
        await refused(NotFound, ask("cs_none"))
    await refused(NotFound, hands.provider.refund("cs_none", 5, "k1"))


async def test_webhooks_name_the_payment_and_come_twice_with_the_same_ids(hands: Hands) -> None:
    ref = await paid(hands)
    await hands.provider.refund(ref, 400, "k1")
    events = [event for one in await hands.webhooks() for event in hands.provider.events(*one)]
    assert events and {event.source for event in events} == {hands.provider.name}
    by_id = {event.event_id: event for event in events}
    assert len(events) == 2 * len(by_id) and all(by_id[event.event_id] == event for event in events)
    for name in {event.provider_ref for event in events}:
        assert (await hands.provider.find(name)).provider_ref == ref


async def test_webhook_that_is_forged_cut_or_of_another_sender_is_refused(hands: Hands) -> None:
    await paid(hands)
    headers, body = (await hands.webhooks())[0]
    name, signature = next(iter(headers.items()))
    at, _, mac = signature.partition(",")
    forged = [
        ({}, body),
        ({name: ""}, body),
        ({name: "t=1"}, body),
        ({name: f"t={'9' * 400},{mac}"}, body),
        ({name: f"{at},v1=ä"}, body),
        ({name: f"{at},v1={'0' * 64}"}, body),
        ({name: f"t={int(time.time()) - 301},{mac}"}, body),
        (headers, body + b" "),
        (headers, body[:-1]),
        (headers, b""),
        (headers, b"\xff\xfe"),
    ]
    for one in forged:
        with pytest.raises(BadWebhook):
            hands.provider.events(*one)
    assert hands.provider.events(headers, body) is not None


async def test_webhook_that_was_signed_long_ago_is_refused(hands: Hands) -> None:
    await paid(hands)
    headers, body = await hands.old_webhook()
    with pytest.raises(BadWebhook):
        hands.provider.events(headers, body)


async def test_list_holds_what_was_begun_or_changed_in_its_period_each_once_as_it_is_now(hands: Hands) -> None:
    refs = [await paid(hands), await paid(hands, "pch_2"), ref_of(await hands.provider.start(order("pch_3")))]
    first, second = hands.now(), hands.now(later_s=3600)
    refs.append(await paid(hands, "pch_4"))
    await hands.provider.refund(refs[0], 400, "k1")
    await hands.dispute(refs[1])
    third = hands.now(later_s=3600)

    async def listed(since: datetime, until: datetime) -> dict[str, Charge]:
        found = [one.charge async for one in hands.provider.listed(since, until)]
        assert len({one.provider_ref for one in found}) == len(found)
        return {one.provider_ref: one for one in found}

    now = {ref: await hands.provider.find(ref) for ref in refs}
    assert await listed(first, second) == {ref: now[ref] for ref in refs[:3]}
    assert await listed(second, third) == {ref: now[ref] for ref in (*refs[:2], refs[3])}
    assert await listed(third, third + timedelta(hours=1)) == {}


async def test_list_goes_on_over_its_pages(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe_lists, "PAGE", 2)
    monkeypatch.setattr(sandbox, "AT_ONCE", 2)
    refs = {ref_of(await hands.provider.start(order(f"pch_{n}"))) for n in range(5)}
    since = hands.now()
    found = [one.charge.provider_ref async for one in hands.provider.listed(since, since + timedelta(seconds=1))]
    assert len(found) == 5 and set(found) == refs
