"""Stripe's webhooks of one payment in whatever order they are heard, and what people and the worker do meanwhile,
some of which gets no answer: the same books."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import Iterator, MutableSequence, Sequence
from typing import Any, Literal, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as checks
from hypothesis import strategies as st

from gateway.control.auth import Assignment
from gateway.control.checkout import actions as checkout
from gateway.control.checkout.model import OPEN_FOR, RefundOrder
from gateway.control.payments.providers import stripe_client
from gateway.control.wallet import actions as wallet
from gateway.control.wallet.withdrawals import WithdrawalOrder
from shared.settings import ControlSettings
from tests.fakes.stripe_objects import Thing
from tests.fakes.stripe_payments import DISPUTE_FEE
from tests.fakes.stripe_server import Fault
from tests.integration.control.test_stripe_books import Counter, counter
from tests.support.books_shop import ADMIN, POLICY, STAFF
from tests.support.ledger import movement
from tests.support.machines import IS_LONG
from tests.support.providers import Webhook

__all__ = ["counter"]

#: So many orders, and one for each fate. Each is a payment of its own, of which all webhooks come twice.
EXAMPLES = 400 if IS_LONG else 20
DAY_S = 86_400
#: After so long what was heard of is available.
SETTLED_S = 8 * DAY_S
Spent = Literal["", "refund", "dispute"]
#: What the next requests meet that read at Stripe, and those that write there.
TROUBLES: Sequence[tuple[Sequence[Fault], Sequence[Fault]]] = (
    ((), ()),
    ((), ()),
    (("429",), ("500",)),
    (("", "cut", "cut"), ("cut",)),
    (("", "", "500"), ()),
    ((), ("500 after",)),
    ((), ("timeout after",)),
)


class Fate(msgspec.Struct, frozen=True):
    """What becomes of a sale of 5.00: 2.00 are given back, the rest is disputed, and that is `won` or lost.

    `direct`: the seller's part goes at once to an account of their own at Stripe. `spent`: before what the seller takes
    out all they have, there or here. `ours`: it is given back by an admin here, not by somebody at Stripe.
    """

    won: bool
    direct: bool = False
    spent: Spent = ""
    ours: bool = False


FATES = [
    Fate(won, direct, spent, ours)
    for won, direct, ours in itertools.product((True, False), repeat=3)
    for spent in get_args(Spent)
]


class End(msgspec.Struct, frozen=True):
    """What a sale left: changes on cash, rail fee, platform fee, clearing, the bank, what Stripe paid out, and the
    seller's pending, available and owed money; the state of the purchase; the rights to the title."""

    books: list[int]
    state: str
    rights: list[str]


class Story:
    """One sale, and all that is done about it, by chance. `purse`: the seller's account at Stripe."""

    def __init__(self, counter: Counter, fate: Fate, *, purse: Thing, chance: random.Random, n: int) -> None:
        self.counter, self.fate, self.purse, self.chance, self.n = counter, fate, purse, chance, n
        self.control, self.shop, self.hands = counter.till.control, counter.shop, counter.till.hands
        self.clock, self.seller = self.control.clock, self.shop.seller.seller
        self.id, self.ref, self.disputed = "", "", ""
        #: What the seller took out of their account at Stripe, and of their earnings here.
        self.emptied, self.withdrawn = 0, 0

    async def told(self) -> End:
        """From the first click until nothing is left to be done."""
        await self.prepare()
        before, viewer = await self.balances(), await self.shop.viewer(f"viewer{self.n}")
        with self.trouble():
            self.id, self.ref = await self.counter.begun(viewer)
        await self.hands.pay(self.ref, "decline")
        await self.hear_some()
        await self.hands.pay(self.ref, "secure")
        await self.hear_some()
        await self.hands.answer(self.ref, passed=True)
        for what, act in (("refund", self.refund), ("dispute", self.dispute), ("decision", self.decide)):
            await self.pass_time()
            if self.fate.spent == what:
                await self.spend()
            await act()
        await self.pass_time()
        await self.finish()
        books = [after - was for was, after in zip(before, await self.balances(), strict=True)]
        rows = await self.control.rows("select state from purchase where id = $1", self.id)
        return End(books, rows[0]["state"], await self.shop.rights(viewer))

    def expected(self) -> End:
        """What the seller is due and has not got is available; what they got and are not due is owed.

        What they did not take out of their account at Stripe is taken back there.
        """
        won, has = self.fate.won, self.purse["balance"] + self.emptied
        assert won or self.fate.spent or not has
        left, kept = (300, -45) if won else (0, -45 - DISPUTE_FEE)
        due = left * 9 // 10 - has - self.withdrawn
        books = [-left - kept, kept, left // 10, 0, self.withdrawn, has, 0, max(0, due), min(0, due)]
        return End(books, "paid" if won else "disputed", ["own"] if won else [])

    async def prepare(self) -> None:
        """The seller has nothing and owes nothing, and has an account that may take money or not."""
        id, server = self.seller["id"], self.hands.server
        await self.control.rows("update payee set can_charge = $1", self.fate.direct)
        has, owed = await self.shop.amounts(f"earnings:{id}", f"receivable:{id}")
        legs = {f"earnings__{id}": -has, f"receivable__{id}": -owed, "cash__bank": has + owed}
        moving: dict[str, Any] = {name: amount for name, amount in legs.items() if amount}
        if moving:
            await self.shop.books.post(movement(f"even:{self.n}", **moving))
        self.purse["balance"], server.lends = 0, not self.fate.ours
        server.events.clear()

    async def pass_time(self) -> None:
        """Some of the webhooks are heard, then perhaps some days go by; the worker does what is due, or half of it."""
        await self.hear_some()
        self.clock.advance(self.chance.randrange(4) * DAY_S)
        with self.trouble():
            await checkout.look_after(shop=self.shop.wired)
            await checkout.settle(shop=self.shop.wired)
            if self.chance.randrange(2):
                await checkout.ask_refunds(shop=self.shop.wired)
            if self.chance.randrange(2):
                await checkout.ask_reversals(shop=self.shop.wired)

    async def hear_some(self) -> None:
        """Some webhooks come, those of before among them, and some of what came is handled."""
        held = await self.webhooks()
        for one in held[: self.chance.randrange(len(held))]:
            assert await self.counter.till.send(one) == 204
        with self.trouble():
            await self.counter.work(self.chance.randrange(3))

    async def hear(self) -> None:
        """All webhooks come, and all is handled, what was put off too."""
        self.clock.advance(DAY_S)
        for one in await self.webhooks():
            assert await self.counter.till.send(one) == 204
        await self.counter.work()

    async def webhooks(self) -> list[Webhook]:
        """All of the sale so far, each twice."""
        held = await self.hands.webhooks()
        self.chance.shuffle(held)
        return held

    async def spend(self) -> None:
        """The seller takes out all they have."""
        if self.fate.direct:
            self.emptied, self.purse["balance"] = self.purse["balance"], 0
            return
        await self.hear()
        self.clock.advance(SETTLED_S)
        await checkout.settle(shop=self.shop.wired)
        (self.withdrawn,) = await self.shop.amounts(f"earnings:{self.seller['id']}")
        assert self.withdrawn == (450 if self.fate.spent == "refund" else 270)
        order = WithdrawalOrder(amount=self.withdrawn, currency="USD")
        owner = msgspec.structs.replace(ADMIN, assignments=(Assignment("owner", f"partner:{self.seller['id']}"),))
        about: Any = {"key": f"w{self.n}", "hold_days": 0, "legal_entity": "usher", "clock": self.clock}
        async with self.control.wiring["begin"]() as unit:
            made = await wallet.withdraw(self.seller["handle"], order, by=owner, unit=unit, **about)
            await wallet.complete(made.id, "ref", by=ADMIN, unit=unit, clock=self.clock)

    async def refund(self) -> None:
        """2.00 are given back: by somebody at Stripe, or by an admin, who can once the payment is heard of."""
        if not self.fate.ours:
            await self.hands.provider.refund(self.ref, 200, f"k{self.n}")
            return
        self.clock.advance(OPEN_FOR.total_seconds())
        await checkout.look_after(shop=self.shop.wired)
        order = RefundOrder(reason="asked for", amount=200)
        async with self.control.wiring["begin"]() as unit:
            await checkout.refund(self.id, order, by=ADMIN, key=f"r{self.n}", place="", unit=unit, shop=self.shop.wired)

    async def dispute(self) -> None:
        """The payer's bank takes back the rest, whether or not Stripe was asked for what is given back by then."""
        self.disputed = self.hands.server.dispute(self.ref)
        self.hands.server.of("disputes", self.disputed)["amount"] = 300

    async def decide(self) -> None:
        """The bank decides."""
        self.hands.server.close_dispute(self.disputed, won=self.fate.won)

    async def finish(self) -> None:
        """All that is left to be done is done."""
        self.clock.advance(DAY_S)
        await checkout.ask_refunds(shop=self.shop.wired)
        await self.hear()
        await checkout.ask_reversals(shop=self.shop.wired)
        self.clock.advance(SETTLED_S)
        await checkout.settle(shop=self.shop.wired)

    async def balances(self) -> list[int]:
        """What all accounts hold that a sale changes."""
        id = self.seller["id"]
        theirs = (f"external:stripe:{id}", f"earnings_pending:{id}", f"earnings:{id}", f"receivable:{id}")
        ours = ("cash:stripe", "rail_fee:stripe", "platform_fee", "refunds_clearing", "cash:bank")
        return await self.shop.amounts(*ours, *theirs)

    @contextlib.contextmanager
    def trouble(self) -> Iterator[None]:
        """Some of what Stripe is asked meanwhile gets no answer, or one that says nothing."""
        reads, writes = TROUBLES[self.chance.randrange(len(TROUBLES))]
        self.hands.server.fail(*reads, reads=True)
        self.hands.server.fail(*writes)
        try:
            with pytest.MonkeyPatch.context() as patch:
                if "timeout after" in writes:
                    patch.setattr(stripe_client, "CALL_S", 0.3)
                yield
        finally:
            self.hands.server.recover()


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


@pytest.fixture
def settings(settings: ControlSettings) -> ControlSettings:
    """Room for the webhooks of all payments."""
    return msgspec.structs.replace(settings, limits_scale=1000.0)


async def test_books_end_the_same_in_every_order_that_is_drawn(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, numbers, provider = asyncio.get_running_loop(), itertools.count(), counter.till.hands.provider
    purse = await counter.account()
    await counter.till.control.rows(POLICY, 1, 0, 100_000)
    await counter.till.control.rows(STAFF, ADMIN.id, ADMIN.sub)
    # One request a call, and however many got no answer in time, the next is made.
    monkeypatch.setattr(stripe_client, "RETRIES", 0)
    monkeypatch.setattr(stripe_client, "SILENT", 1_000_000)
    provider._made = provider._make(counter.till.hands.server.key)

    @checks(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=not IS_LONG,  # the long form looks elsewhere each time
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn=st.lists(st.integers(0, 99), min_size=1, max_size=60), fate=st.sampled_from(FATES))
    def check(drawn: list[int], fate: Fate) -> None:
        story = Story(counter, fate, purse=purse, chance=Drawn(drawn), n=next(numbers))
        assert asyncio.run_coroutine_threadsafe(story.told(), loop).result(600) == story.expected()

    for fate in FATES:
        check = example(drawn=[7, 3, 5], fate=fate)(check)
    await asyncio.to_thread(check)
    await counter.shop.audit()
