"""Stripe's webhooks of one payment in whatever order they are heard, some of them handled between: the same books."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import MutableSequence
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fakes.stripe_payments import DISPUTE_FEE
from tests.integration.control.test_stripe_books import Counter, counter
from tests.support.providers import Webhook

__all__ = ["counter"]

#: Each is a payment of its own, in six steps of which all webhooks come twice.
EXAMPLES = 8
#: What a sale of 5.00 leaves on cash, rail fee, platform fee, clearing, pending earnings and receivable once 2.00 of it
#: were given back, with its state and rights: its dispute won, or lost.
KEPT, LOST = -45, -45 - DISPUTE_FEE
ENDS = {
    True: ([-300 - KEPT, KEPT, 30, 0, 270, 0], "paid", ["own"]),
    False: ([-LOST, LOST, 0, 0, 0, 0], "disputed", []),
}


async def story(counter: Counter, chance: random.Random, *, n: int, won: bool) -> tuple[list[int], str, list[str]]:
    """One sale that is declined, paid, partly refunded and disputed, its webhooks heard by chance.

    What it changed in the books, the state of the purchase, and the rights that are left.
    """
    before, viewer = await counter.balances(), await counter.shop.viewer(f"viewer{n}")
    hands = counter.till.hands
    hands.server.events.clear()
    id, ref = await counter.begun(viewer)
    held: list[Webhook] = []
    for step in (
        hands.pay(ref, "decline"),
        hands.pay(ref, "secure"),
        hands.answer(ref, passed=True),
        hands.provider.refund(ref, 200, f"k{n}"),
        hands.dispute(ref),
        hands.dispute(ref, won=won),
    ):
        await step
        held = await hands.webhooks()
        chance.shuffle(held)
        for one in held[: chance.randrange(len(held))]:
            assert await counter.till.send(one) == 204
        await counter.work(chance.randrange(3))
    for one in held:
        assert await counter.till.send(one) == 204
    await counter.work()
    change = [after - was for was, after in zip(before, await counter.balances(), strict=True)]
    state = (await viewer.ask("GET", f"payments/{id}"))["state"]
    return change, state, await counter.shop.rights(viewer)


class Drawn(random.Random):
    """Chance as it was drawn before the payment began: one that breaks off half way would leave its webhooks behind."""

    def __init__(self, numbers: list[int]) -> None:
        super().__init__()
        self._numbers = itertools.cycle(numbers)

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        """One of so many."""
        return next(self._numbers) % start

    def shuffle(self, x: MutableSequence[Any]) -> None:
        """Each place gets one of those that are left."""
        left = list(x)
        x[:] = [left.pop(self.randrange(len(left))) for _ in range(len(left))]


async def test_books_end_the_same_in_every_order_that_is_drawn(counter: Counter) -> None:
    loop, numbers = asyncio.get_running_loop(), itertools.count()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @example(drawn=[7, 3, 5], won=True)
    @example(drawn=[7, 3, 5], won=False)
    @given(drawn=st.lists(st.integers(0, 99), min_size=1, max_size=60), won=st.booleans())
    def check(drawn: list[int], won: bool) -> None:
        told = story(counter, Drawn(drawn), n=next(numbers), won=won)
        assert asyncio.run_coroutine_threadsafe(told, loop).result(600) == ENDS[won]

    await asyncio.to_thread(check)
    await counter.shop.audit()
