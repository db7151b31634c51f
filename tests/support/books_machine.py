"""A state machine whose every request is made of the real books and of the model, and both are compared after it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine

from gateway.control.auth import Principal
from gateway.control.checkout import actions as checkout
from gateway.control.checkout.actions.refunds import FIRST_S
from gateway.control.checkout.model import Purchase
from gateway.control.ledger import actions as ledger
from gateway.control.ledger.model import Leg as Posting
from gateway.control.ledger.model import Movement
from gateway.control.sandbox.model import TARIFF, approved
from gateway.control.wiring import Unit
from tests.support.books_facts import Refusal
from tests.support.books_model import SETTLES_AFTER, Leg, ModelBooks
from tests.support.books_shop import PEOPLE, SELLERS, Books, Request, Town

#: Opens the transaction in which a request has its effect.
Opens = Callable[[], Awaitable[Unit]]


class Beside(RuleBasedStateMachine):
    """One example; its people and titles are its own, the platform's accounts are everybody's."""

    runner: asyncio.Runner
    books: Books
    town: Town
    model: ModelBooks

    def __init__(self) -> None:
        super().__init__()
        self.names = itertools.count()
        #: Our ids of what the model has by name.
        self.ids: dict[str, str] = {}
        self.past: list[tuple[Request, dict[str, Any]]] = []
        #: Whether both were the same when they were compared last.
        self.sound = False

    def found(self, number: int, prices: Mapping[str, int], partners: Mapping[str, int]) -> None:
        """A company, after what the one before it left undone, which is not to be taken for a fault of this one."""
        self.books.clock.advance(SETTLES_AFTER.total_seconds())
        self.runner.run(self.books.insist(self.books.turn))
        self.town = self.runner.run(self.books.town(number, prices, partners))
        films = {film.id: film for film in self.town.films.values()}
        self.model = ModelBooks(films=films, coupons=self.town.coupons)
        self.sound = True

    def teardown(self) -> None:
        """In the end all that was pending is settled, and every bank has given back what it could."""
        if self.sound:
            self.books.clock.advance(SETTLES_AFTER.total_seconds())
            self.work(None)

    def fund(self, legs: Sequence[Leg]) -> None:
        """Money from outside."""
        movement = Movement(
            key=f"fund:{self.town.name}", kind="fund", legs=[Posting(code, "USD", n) for code, n in legs]
        )

        async def post() -> None:
            async with self.books.begin() as unit:
                await ledger.post(movement, ledger=unit.ledger)

        if legs:
            self.runner.run(self.books.insist(post))
            self.both(lambda model: model.move(*legs))

    def earners(self) -> list[str]:
        """Sellers who have earnings."""
        return [letter for letter in SELLERS if self.model.has(f"earnings:{self.town.seller(letter)}")]

    def debtors(self) -> list[str]:
        """People and sellers who owe something."""
        ids = {self.town.person(letter).id: letter for letter in PEOPLE}
        ids |= {self.town.seller(letter): letter for letter in SELLERS}
        return [letter for id, letter in ids.items() if self.model.has(f"receivable:{id}")]

    def paid(self) -> list[str]:
        """Sales that can be given back."""
        return [name for name, one in self.model.sales.items() if one.state == "paid"]

    def unpaid(self) -> list[str]:
        """Payments that wait for their payers."""
        return [name for name, one in self.model.sales.items() if one.rail != "wallet" and not one.charged]

    def is_asked(self, name: str) -> bool:
        """Whether a bank is to give back some of a payment, and has not."""
        return any((one.sale, one.state) == (name, "asked") for one in self.model.refunds)

    def disputable(self) -> list[str]:
        """Payments that banks made, again and again."""
        return [name for name, one in self.model.sales.items() if one.charged]

    def pay(self, name: str, cut: int | None) -> None:
        """A payer pays, and that is heard of."""
        fee = TARIFF.quote(self.model.sales[name].amount, "USD").fee
        self.at_bank(name, lambda payment: approved(payment) if payment.state == "open" else payment, cut)
        self.both(lambda model: model.pay(name, fee, self.books.clock.now()))

    def work(self, cut: int | None) -> None:
        """One turn of the worker."""
        self.sound, clock = False, self.books.clock

        async def turn() -> None:
            await ledger.expire(begin=self.books.begin, now=clock.now())
            await self.books.turn()

        self.runner.run(self.books.insist(turn, cut))
        if cut is not None:  # a bank that did not answer is asked again later
            clock.advance(2 * FIRST_S)
            self.runner.run(self.books.insist(turn))

        def expected(model: ModelBooks) -> None:
            model.expire(clock.now())
            model.settle(clock.now())
            model.ask_refunds()

        self.both(expected)

    def at_bank(self, name: str, how: Callable[[Any], Any], cut: int | None) -> None:
        """Something happens to a payment at its bank."""
        self.sound = False
        self.books.clock.advance(1)
        self.runner.run(self.books.insist(lambda: self.books.at_bank(self.ids[name], how), cut))

    def both(self, expected: Callable[[ModelBooks], object]) -> None:
        """The model does the same, and has the same."""
        expected(self.model)
        self.compare()

    def ask(
        self,
        route: str,
        by: Principal,
        body: Any,
        act: Callable[[Opens, str], Awaitable[dict[str, Any]]],
        said: Callable[[ModelBooks, str], dict[str, Any]],
        cut: int | None,
    ) -> str:
        """A request on both, until it is answered; the name of what came of it, none where it is refused."""
        self.sound, name = False, f"{self.town.name}-{next(self.names)}"
        self.books.clock.advance(1)
        request = Request(by, route, name, body, lambda unit: act(unit, f"{route}:{by.id}:{name}"))
        found = self.runner.run(self.books.ask(request, cut))
        after = self.model.copy()
        try:
            expected: dict[str, Any] | str = said(after, name)
            self.model = after
        except Refusal as refusal:
            expected = str(refusal)
        if isinstance(found, str) or isinstance(expected, str):
            assert found == expected
            name = ""
        else:
            self.past.append((request, found))
            name = expected.pop("sale", name)
            assert self.ids.setdefault(name, found["id"]) == found["id"]
            assert {fact: one for fact, one in found.items() if fact != "id"} == expected
        self.compare()
        return name

    async def begun(self, purchase: Purchase, unit: Opens) -> dict[str, Any]:
        """Ask the bank for a payment, as the routes do."""
        begun = await checkout.ask(purchase, shop=self.books.shop)
        return facts_of(await checkout.begun(purchase, begun, unit=await unit(), shop=self.books.shop))

    def facts(self, model: ModelBooks, name: str) -> dict[str, Any]:
        """What a buyer is told."""
        sale = model.sales[name]
        return {"sale": name, "state": sale.state, "amount": sale.amount, "rail": sale.rail}

    def compare(self) -> None:
        """Accounts, purchases and rights are as the model has them, and all that was booked adds up to nothing."""
        self.compare_accounts()
        sales = self.model.sales
        rights = {(one.viewer, one.film) for one in sales.values() if one.film and one.state == "paid"}
        assert self.runner.run(self.books.rights(self.town)) == rights
        expected = {self.ids[name]: (one.state, one.refunded, one.disputed) for name, one in sales.items()}
        assert self.runner.run(self.books.sales(self.town)) == expected
        self.sound = True

    def compare_accounts(self) -> None:
        """Each account as it is kept, as its postings say and as the model has it; none is below what is held of it."""
        booked = self.runner.run(self.books.booked(self.town))
        found = {row["code"]: row["booked"] for row in booked if row["booked"]}
        expected = {code: amount for code, amount in self.model.balances.items() if amount}
        assert found == expected
        assert sum(found.values()) == 0 and {row["asset"] for row in booked} <= {"USD"}
        for row in booked:
            if row["cached"]:
                held = self.model.held.get(row["code"], 0)
                assert (row["balance"], row["held"]) == (row["booked"], held), row
                assert row["balance"] >= held or row["code"].startswith("receivable"), row


def facts_of(purchase: Purchase) -> dict[str, Any]:
    """What a buyer is told of a purchase."""
    return {"id": purchase.id, "state": purchase.state, "amount": purchase.amount, "rail": purchase.rail}
