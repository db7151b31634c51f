"""The ledger beside a model of dictionaries: random acts in random transactions, connections killed between any two
statements and at the commit, everything asked for again; the books are always the model's."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from gateway.control.ledger import actions
from gateway.control.ledger.model import HoldOrder, Leg, Movement
from infra.stack.postgres import Cluster
from shared.errors import Unavailable, UsherError
from shared.money import Share, split
from tests.support.ledger import NOW, Books, open_books
from tests.support.ledger_model import Act, Capture, ModelBooks, Post, SetAside, Void
from tests.support.machines import IS_LONG, run_machine
from tests.support.postgres import database

EXAMPLES = 5_000 if IS_LONG else 500
#: Acts of one example.
STEPS = 12 if IS_LONG else 8
ASSETS = st.sampled_from(["USD", "BONUS"])
PEOPLE = st.sampled_from(["wallet:a", "wallet:b", "earnings:s"])
AMOUNTS = st.integers(1, 60)
#: After how many statements of a transaction its connection is killed; AT_COMMIT: while it commits; None: it is not.
AT_COMMIT = -1
KILLS = st.sampled_from([*44 * [None], 0, 1, 2, AT_COMMIT])
#: What the postings of accounts say, whatever their rows do.
POSTED = """
select a.code, a.asset, sum(p.amount) from posting p join ledger_account a on a.id = p.account
where a.code = any($1::text[]) group by a.code, a.asset
"""
SHARES = (Share(to="platform_fee", bp=1000), Share(to="earnings:s", weight=70), Share(to="earnings:t", weight=30))


class Machine(RuleBasedStateMachine):
    """One example; its accounts and keys are its own, the database is everybody's."""

    runner: asyncio.Runner
    books: Books
    numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.name = f"x{next(Machine.numbers)}"
        self.keys = itertools.count()
        self.model = ModelBooks()
        self.ids: dict[str, str] = {}
        self.past: list[Act] = []
        self.now = NOW

    @initialize(amount=st.integers(0, 200), asset=ASSETS)
    def fund(self, amount: int, asset: str) -> None:
        """Somebody has something."""
        if amount:
            self.act([self.moved(asset, {"cash": -amount, "wallet:a": amount})])

    @rule(account=PEOPLE, asset=ASSETS, amount=AMOUNTS, kill=KILLS)
    def top_up(self, account: str, asset: str, amount: int, kill: int | None) -> None:
        """Money from outside."""
        self.act([self.moved(asset, {"cash": -amount, account: amount})], kill)

    @rule(giver=PEOPLE, taker=PEOPLE, asset=ASSETS, amount=AMOUNTS, kill=KILLS)
    def transfer(self, giver: str, taker: str, asset: str, amount: int, kill: int | None) -> None:
        """From one to the other, or to oneself, which moves nothing and needs nothing."""
        self.act([Post(self.movement(asset, [(giver, -amount), (taker, amount)]))], kill)

    @rule(payer=PEOPLE, asset=ASSETS, amount=AMOUNTS, kill=KILLS)
    def buy(self, payer: str, asset: str, amount: int, kill: int | None) -> None:
        """A sale, split among the platform and two partners."""
        self.act([Post(self.sale(payer, asset, amount))], kill)

    @rule(amount=AMOUNTS, asset=ASSETS, kill=KILLS)
    def owe(self, amount: int, asset: str, kill: int | None) -> None:
        """A seller comes to owe something, or pays it back."""
        sign = 1 if amount % 3 == 0 else -1
        self.act([self.moved(asset, {"receivable:s": sign * amount, "refunds_clearing": -sign * amount})], kill)

    @rule(account=PEOPLE, asset=ASSETS, amount=AMOUNTS, minutes=st.integers(1, 90), kill=KILLS)
    def hold(self, account: str, asset: str, amount: int, minutes: int, kill: int | None) -> None:
        """Set something aside."""
        self.act([self.order(account, asset, amount, minutes)], kill)

    @rule(account=PEOPLE, asset=ASSETS, amounts=st.tuples(AMOUNTS, AMOUNTS), kill=KILLS)
    def pay_and_hold(self, account: str, asset: str, amounts: tuple[int, int], kill: int | None) -> None:
        """A sale and a hold in one transaction: both or neither."""
        sale = Post(self.sale(account, asset, amounts[0]))
        self.act([sale, self.order(account, asset, amounts[1], 30)], kill)

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), amount=AMOUNTS, kill=KILLS)
    def capture(self, data: st.DataObject, amount: int, kill: int | None) -> None:
        """Book what a hold was for, or less, or more."""
        key = data.draw(st.sampled_from(sorted(self.ids)))
        order = self.model.holds[key].order
        movement = self.sale(order.account.replace(f":{self.name}_", ":"), order.asset, amount)
        self.act([Capture(key, movement, self.now)], kill)

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), kill=KILLS)
    def void(self, data: st.DataObject, kill: int | None) -> None:
        """Free what a hold set aside."""
        self.act([Void(data.draw(st.sampled_from(sorted(self.ids))), self.now)], kill)

    @rule(minutes=st.integers(0, 60))
    def expire(self, minutes: int) -> None:
        """Time goes by, and the worker frees what is over."""
        self.now += timedelta(minutes=minutes)
        self.runner.run(actions.expire(begin=self.books.begin, now=self.now))
        self.model.expire(self.now)

    @precondition(lambda self: self.past)
    @rule(data=st.data(), kill=KILLS)
    def again(self, data: st.DataObject, kill: int | None) -> None:
        """Something that was asked before, word for word."""
        self.act([data.draw(st.sampled_from(self.past))], kill)

    @precondition(lambda self: self.model.booked)
    @rule(data=st.data(), account=PEOPLE, asset=ASSETS, amount=AMOUNTS)
    def reuse(self, data: st.DataObject, account: str, asset: str, amount: int) -> None:
        """Another movement under a key that was used."""
        key = data.draw(st.sampled_from(sorted(self.model.booked)))
        movement = self.movement(asset, [("cash", -amount), (account, amount)])
        self.act([Post(Movement(key=key, kind="other", legs=movement.legs))])

    @rule(is_due=st.sampled_from([False, False, False, True]))
    def snapshot(self, is_due: bool) -> None:
        """The worker adds up, now and then: it looks at the accounts of all examples."""
        if is_due:
            self.runner.run(actions.snapshot(begin=self.books.begin))

    def teardown(self) -> None:
        """Every account is as the model has it, by its row and by its postings."""
        self.runner.run(self.compare())

    async def compare(self) -> None:
        """Balances, what is held, and that all adds up."""
        places = {*self.model.balances, *self.model.held}
        codes = sorted({account for account, _ in places})
        async with self.books.begin() as unit:
            rows = {(one.account, one.asset): one for code in codes for one in await unit.ledger.balances(code)}
            posted = {(row[0], row[1]): row[2] for row in await unit.connection.fetch(POSTED, codes)}
            # The store's own list, of one account of each example.
            if rows:
                place = sorted(rows)[len(self.past) % len(rows)]
                listed = await unit.ledger.history(rows[place].id, None, 1000)
                assert sum(one.amount for one in listed) == self.model.balances.get(place, 0), place
        for place in places | rows.keys():
            expected, row = self.model.balances.get(place, 0), rows.get(place)
            assert posted.get(place, 0) == expected, place
            told = (row.balance, row.held) if row else (0, 0)
            assert told == (expected, self.model.held.get(place, 0)), place
        for asset in ("USD", "BONUS"):
            assert sum(amount for (_, one), amount in self.model.balances.items() if one == asset) == 0

    def act(self, acts: Sequence[Act], kill: int | None = None) -> None:
        """All of `acts` in one transaction, on both; killed on the way it is nothing, and is then asked for again."""
        after = self.model.copy()
        expected: list[Any] = []
        try:
            expected = [one.model(after) for one in acts]
            self.model = after
        except UsherError as error:
            expected = [type(error)]
        self.past += acts if expected and all(type(one) is bool for one in expected) else []
        if kill is not None:
            done = self.runner.run(self.killed(acts, kill))
            if done and done == expected:
                return
            # It came to nothing, or nobody was told: asked for again it is there once, replayed or not.
            found = self.runner.run(self.real(acts))
            assert len(found) == len(expected)
            replayed = kill == AT_COMMIT and found == [True] * len(acts)
            assert found == expected or replayed, (found, expected)
            return
        assert self.runner.run(self.real(acts)) == expected

    async def real(self, acts: Sequence[Act]) -> list[Any]:
        """What each act said, or the error that undid them all."""
        try:
            async with self.books.begin() as unit:
                return [await one.real(unit, self.ids) for one in acts]
        except UsherError as error:
            return [type(error)]

    async def killed(self, acts: Sequence[Act], kill: int) -> list[Any]:
        """As `real`, with the connection killed; empty where that ended it, so that nobody knows what became of it."""
        ids = dict(self.ids)
        try:
            async with self.books.begin() as unit:
                said = []
                pid = await unit.connection.fetchval("select pg_backend_pid()")
                for number, one in enumerate(acts):
                    if number == kill:
                        await self.end(pid)
                    said.append(await one.real(unit, ids))
                if kill >= len(acts):
                    await self.end(pid)
                ending = asyncio.ensure_future(self.end(pid)) if kill == AT_COMMIT else None
                await asyncio.sleep(0)
            if ending:
                await ending
        except Unavailable:
            return []
        except UsherError as error:
            return [type(error)]
        self.ids = ids
        return said

    async def end(self, pid: int) -> None:
        """Kill a connection as an operator would."""
        await self.books.value("select pg_terminate_backend($1)", pid)

    def moved(self, asset: str, legs: dict[str, int]) -> Post:
        """A movement of one leg an account."""
        return Post(self.movement(asset, list(legs.items())))

    def sale(self, payer: str, asset: str, amount: int) -> Movement:
        """A payment, split."""
        parts = zip(SHARES, split(amount, SHARES), strict=True)
        return self.movement(asset, [(payer, -amount), *((share.to, part) for share, part in parts)])

    def movement(self, asset: str, legs: list[tuple[str, int]]) -> Movement:
        """Under a key of its own, on accounts of this example."""
        key = f"{self.name}:{next(self.keys)}"
        return Movement(key=key, kind="test", legs=[Leg(self.own(account), asset, amount) for account, amount in legs])

    def order(self, account: str, asset: str, amount: int, minutes: int) -> SetAside:
        """A hold for so long."""
        ends = self.now + timedelta(minutes=minutes)
        key = f"{self.name}:{next(self.keys)}"
        return SetAside(HoldOrder(key=key, account=self.own(account), asset=asset, amount=amount, expires_at=ends))

    def own(self, account: str) -> str:
        """An account of this example alone."""
        kind, _, owner = account.partition(":")
        return f"{kind}:{self.name}_{owner}"


def test_ledger_is_always_as_the_model_has_it(postgres_cluster: Cluster) -> None:
    with asyncio.Runner() as runner:
        base = database(postgres_cluster)
        opened = open_books(runner.run(base.__aenter__()), 3)
        books = runner.run(opened.__aenter__())
        try:
            run_machine(Machine, examples=EXAMPLES, steps=STEPS, runner=runner, books=books)
            found = runner.run(books.audit())
            assert found.differences == [] and found.txns > EXAMPLES // 4
        finally:
            runner.run(opened.__aexit__(None, None, None))
            runner.run(base.__aexit__(None, None, None))
