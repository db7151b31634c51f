"""Stripe that fails at whatever it is asked: what writes is done once when asked for again, what reads is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.control.payments.providers import stripe_client
from gateway.control.payments.providers.base import Payout
from shared.errors import ProviderUnavailable
from tests.fakes.stripe_server import Fault
from tests.support.providers import StripeHands, order, stripe_hands

#: What is asked of Stripe, and what it made or told of when it did that.
Act = tuple[Callable[[], Awaitable[object]], str]


@pytest.fixture
async def hands() -> AsyncIterator[StripeHands]:
    """Stripe."""
    async with stripe_hands() as made:
        yield made


class Sale:
    """A payment of 12.50 of which 11.25 went to a seller's account, and its page."""

    def __init__(self, hands: StripeHands, account: str, ref: str) -> None:
        self.hands, self.provider, self.account, self.ref = hands, hands.provider, account, ref

    async def paid(self) -> str:
        """Its payer pays; the payment."""
        await self.hands.pay(self.ref, "approve")
        return self.ref

    async def held(self) -> str:
        """One more, of which the amount is set aside alone."""
        ref = (await self.provider.start(order("pch_2", hold=True))).provider_ref
        await self.hands.pay(ref, "approve")
        return ref


async def begun(hands: StripeHands) -> Sale:
    """A page to pay on."""
    account = await hands.provider.open_account("slr_1", "US")
    hands.server.onboard(account)
    made = await hands.provider.start(order(seller_account=account, fee_amount=125))
    return Sale(hands, account, made.provider_ref)


async def close(sale: Sale) -> Act:
    """The page on which nobody paid."""
    return lambda: sale.provider.void(sale.ref), "checkout.session.expired"


async def let_go(sale: Sale) -> Act:
    """What is set aside, given up."""
    ref = await sale.held()
    return lambda: sale.provider.void(ref), "payment_intent.canceled"


async def capture(sale: Sale) -> Act:
    """What is set aside, taken."""
    ref = await sale.held()
    return lambda: sale.provider.capture(ref), "payment_intent.succeeded"


async def take_back(sale: Sale) -> Act:
    """The part of the seller, from their account."""
    ref = await sale.paid()
    return lambda: sale.provider.take_back(ref, 1125, "k1"), "reversals"


async def refund(sale: Sale) -> Act:
    """Some of the payment, to its payer."""
    ref = await sale.paid()
    return lambda: sale.provider.refund(ref, 500, "k1"), "refunds"


async def pay_out(sale: Sale) -> Act:
    """Earnings, to the account of the seller."""
    payout = Payout(id="wdr_1", account=sale.account, amount=500, currency="USD")
    return lambda: sale.provider.pay_out(payout), "transfers"


@pytest.mark.parametrize("fault", ["401", "429", "409", "500", "cut", "500 after", "timeout after"])
@pytest.mark.parametrize("prepare", [close, let_go, capture, take_back, refund, pay_out])
async def test_what_breaks_off_is_done_once_when_it_is_asked_for_again(
    hands: StripeHands, prepare: Callable[[Sale], Awaitable[Act]], fault: Fault
) -> None:
    act, what = await prepare(await begun(hands))
    await broken(hands, act, [fault])
    await act()
    await act()
    server = hands.server
    told = [one for one in server.events if one["type"] == what]
    assert len(server.folders.get(what, {})) + len(told) == 1


async def listed(sale: Sale) -> list[Any]:
    """All payments and payouts of two days."""
    now = datetime.fromtimestamp(sale.hands.server.clock(), UTC)
    since, until = now - timedelta(days=1), now + timedelta(days=1)
    paid = [one async for one in sale.provider.listed(since, until)]
    return [*paid, *[one async for one in sale.provider.payouts(since, until)]]


@pytest.mark.parametrize("fault", ["401", "429", "500", "cut", "timeout after"])
@pytest.mark.parametrize(
    ("read", "before"),
    [
        (lambda sale: sale.provider.find(sale.ref), 0),
        (lambda sale: sale.provider.find(sale.ref), 1),
        (lambda sale: sale.provider.account(sale.account), 0),
        (lambda sale: sale.provider.payout("wdr_1"), 0),
        (listed, 0),
        (listed, 5),
    ],
    ids=["payment", "its disputes", "account", "payout", "list", "its end"],
)
async def test_what_cannot_be_read_is_told_and_read_when_it_is_asked_for_again(
    hands: StripeHands, read: Callable[[Sale], Awaitable[object]], before: int, fault: Fault
) -> None:
    sale = await begun(hands)
    await hands.dispute(await sale.paid())
    await sale.provider.pay_out(Payout(id="wdr_1", account=sale.account, amount=500, currency="USD"))
    known = await read(sale)
    passed: list[Fault] = ["" for _ in range(before)]
    await broken(hands, lambda: read(sale), [*passed, fault, fault], reads=True)
    assert await read(sale) == known


async def broken(
    hands: StripeHands, act: Callable[[], Awaitable[object]], faults: list[Fault], *, reads: bool = False
) -> None:
    """It is told that Stripe did not answer; of what reads on an old connection its client asks twice."""
    with pytest.MonkeyPatch.context() as hasty:
        hasty.setattr(stripe_client, "CALL_S", 0.3)
        hasty.setattr(stripe_client, "RETRIES", 0)
        hands.provider._made = hands.provider._make(hands.server.key)
        hands.server.fail(*faults, reads=reads)
        with pytest.raises(ProviderUnavailable):
            await act()
    hands.server.recover()
