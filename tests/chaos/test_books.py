"""What people do with money beside a model of dictionaries: random acts, connections ended before any statement and at
any commit, everything asked for again under its key; who has what is always as the model says."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from msgspec.structs import replace

from gateway.control.checkout import actions as checkout
from gateway.control.checkout.model import CheckoutOrder, RefundOrder, TopUpOrder
from gateway.control.giftcards import actions as giftcards
from gateway.control.giftcards.model import NewGiftCard
from gateway.control.ledger import actions as ledger
from gateway.control.ledger.model import HoldOrder
from gateway.control.wallet import actions as wallet
from gateway.control.wallet.model import TransferOrder
from gateway.control.wallet.withdrawals import Rejection, WithdrawalOrder
from infra.stack.postgres import Cluster
from shared.secrets import SESSION_HMAC, FolderSecrets
from tests.support.books_facts import Held, Sale
from tests.support.books_machine import Beside, Opens, facts_of
from tests.support.books_model import ModelBooks
from tests.support.books_shop import ADMIN, PEOPLE, SELLERS, Books
from tests.support.knife import cut_database
from tests.support.machines import IS_LONG, run_machine
from tests.support.postgres import database

#: Examples, and acts of one.
EXAMPLES, STEPS = (5_000, 12) if IS_LONG else (500, 6)
#: The company of the books.
US = "usher"
WHO, WHOSE = st.sampled_from(PEOPLE), st.sampled_from(SELLERS)
FILMS, OTHERS = st.sampled_from("xyyz"), st.sampled_from(["", "", *PEOPLE])
AMOUNTS = st.integers(50, 900)
#: A title of which a seller gets a part.
EARNS = {"s": "x", "t": "z", "u": "y"}
#: An amount, or 0 for all there is.
SUMS = st.one_of(st.just(0), AMOUNTS)
#: What a bank claims of a payment, in percent, one after another.
CLAIMS = st.sampled_from([[100], [60], [0], [100, 0], [60, 100, 0], [100, 0, 100, 0]])
CODES = st.sampled_from(["", "", "THIRD", "ALL", "LESS"])
#: Before which statement of an act its connection ends; below zero: at which commit; None: at none.
CUTS = st.sampled_from([*120 * [None], *range(30), *range(-4, 0)])


class Machine(Beside):
    """One example; its people and titles are its own, the platform's accounts are everybody's."""

    numbers = itertools.count(1)

    @initialize(
        prices=st.fixed_dictionaries({letter: st.integers(150, 999) for letter in "xyz"}),
        partners=st.sampled_from([{"t": 3000, "u": 1}, {"t": 5000, "u": 5000}, {"u": 3333}]),
        funds=st.lists(st.integers(0, 2000), min_size=3, max_size=3),
    )
    def begin(self, prices: dict[str, int], partners: dict[str, int], funds: list[int]) -> None:
        """Everybody has something."""
        self.found(next(Machine.numbers), prices, partners)
        legs = [(f"wallet:{self.town.person(letter).id}", has) for letter, has in zip(PEOPLE, funds, strict=True)]
        self.fund([("cash:bank", -sum(funds)), *legs] if any(funds) else [])

    @rule(who=WHO, amount=AMOUNTS, paid=st.sampled_from([True, True, True, False]), cut=CUTS)
    def top_up(self, who: str, amount: int, paid: bool, cut: int | None) -> None:
        """Money by card onto a wallet."""
        by, order = self.town.person(who), TopUpOrder(amount=amount, currency="USD")

        async def act(unit: Opens, key: str) -> dict[str, Any]:
            purchase = await checkout.top_up(order, by=by, key=key, shop=self.books.shop)
            return await self.begun(purchase, unit)

        def said(model: ModelBooks, name: str) -> dict[str, Any]:
            sale = Sale(by.id, by.id, "", amount, "sandbox", self.books.clock.now())
            model.sales[name] = sale
            return self.facts(model, name)

        name = self.ask("top-up", by, order, act, said, cut)
        if name and paid:
            self.pay(name, cut)

    @rule(who=WHO, film=FILMS, code=CODES, to=OTHERS, friend=OTHERS, cut=CUTS)
    def buy(self, who: str, film: str, code: str, to: str, friend: str, cut: int | None) -> None:
        """A title by wallet, for oneself or as a gift."""
        self.check_out(who, film, "wallet", code=code, to=to, friend=friend, cut=cut)

    @rule(
        who=WHO, film=FILMS, code=CODES, to=OTHERS, friend=OTHERS, paid=st.sampled_from([True, True, False]), cut=CUTS
    )
    def buy_by_card(self, who: str, film: str, code: str, to: str, friend: str, paid: bool, cut: int | None) -> None:
        """A title by card, paid at once or later."""
        name = self.check_out(who, film, "sandbox", code=code, to=to, friend=friend, cut=cut)
        if name and paid and self.model.sales[name].state == "new":
            self.pay(name, cut)

    def check_out(self, who: str, film: str, rail: str, *, code: str, to: str, friend: str, cut: int | None) -> str:
        """Ask for a title; the name of the sale."""
        by, what = self.town.person(who), self.town.films[film]
        viewer = self.town.person(to) if to and to != who else by
        order = CheckoutOrder(
            offer=what.offer,
            version=1,
            pay=rail,
            coupon=code or None,
            gift_to=f"u{self.town.name}{to}" if viewer != by else None,
            referral=self.town.code(friend) if friend else None,
        )

        async def act(unit: Opens, key: str) -> dict[str, Any]:
            shop = self.books.shop
            if rail == "wallet":
                made = await checkout.from_wallet(what.id, order, by=by, key=key, unit=await unit(), shop=shop)
                return facts_of(made)
            return await self.begun(await checkout.by_provider(what.id, order, by=by, key=key, shop=shop), unit)

        def said(model: ModelBooks, name: str) -> dict[str, Any]:
            friend_id = self.town.person(friend).id if friend and friend != who else ""
            friend_id = friend_id if friend_id != viewer.id else ""  # nobody is paid for bringing their own gift
            sale = Sale(by.id, viewer.id, what.id, 0, rail, self.books.clock.now(), code, friend_id)
            return self.facts(model, model.buy(name, sale))

        return self.ask("checkout", by, order, act, said, cut)

    @precondition(lambda self: self.unpaid())
    @rule(data=st.data(), cut=CUTS)
    def pay_late(self, data: st.DataObject, cut: int | None) -> None:
        """A payment that was begun is made at the bank, also when it was given up here."""
        self.pay(data.draw(st.sampled_from(self.unpaid())), cut)

    @precondition(lambda self: self.model.sales)
    @rule(data=st.data(), amount=st.sampled_from([None, None, 33, 100, 500]), cut=CUTS)
    def refund(self, data: st.DataObject, amount: int | None, cut: int | None) -> None:
        """All that is left of a purchase, or so much."""
        name = data.draw(st.sampled_from(self.paid() or list(self.model.sales)))
        self.give_back(name, amount, cut)

    @precondition(lambda self: self.paid())
    @rule(
        data=st.data(),
        how=st.sampled_from(["refund", "dispute"]),
        amount=st.sampled_from([None, 100]),
        parts=CLAIMS,
        cut=CUTS,
    )
    def take_spent(self, data: st.DataObject, how: str, amount: int | None, parts: list[int], cut: int | None) -> None:
        """What was paid is given back, or claimed by the payer's bank, once those who got it have spent it: they owe
        it, and pay it when they earn.
        """
        by_card = [name for name in self.paid() if self.model.sales[name].charged] if how == "dispute" else []
        name = data.draw(st.sampled_from(by_card or self.paid()))
        sale = self.model.sales[name]
        if sale.settle_at is not None:
            self.wait(200, None)
        for who in PEOPLE:
            if any(part.owner == self.town.person(who).id for part in sale.parts):
                self.transfer(who, "b" if who == "a" else "a", 0, cut)
        for whose in self.earners():
            self.withdraw(whose, 0, cut)
        if by_card:
            self.claim(name, parts, cut)
        else:
            self.give_back(name, amount, cut)
        for debtor in self.debtors():
            self.earn(debtor, cut)

    def earn(self, debtor: str, cut: int | None) -> None:
        """Who owes something gets something: it is paid of that first."""
        if debtor in PEOPLE:
            self.top_up(debtor, 150, True, cut)
            return
        film = self.town.films[EARNS[debtor]].id
        buyer = next((who for who in PEOPLE if not self.model.owns(self.town.person(who).id, film)), "a")
        self.buy_by_card(buyer, EARNS[debtor], "", "", "", True, None)
        self.wait(200, cut)

    def give_back(self, name: str, amount: int | None, cut: int | None) -> None:
        """An admin gives a purchase back."""
        order = RefundOrder(reason="asked for", amount=amount)
        if self.is_asked(name):  # one at a time, for of two that do not fit both the first is made
            self.work(None)

        async def act(unit: Opens, key: str) -> dict[str, Any]:
            at, shop = self.ids[name], self.books.shop
            made = await checkout.refund(at, order, by=ADMIN, key=key, place="", unit=await unit(), shop=shop)
            return {"id": made.id, "amount": made.amount}

        def said(model: ModelBooks, _: str) -> dict[str, Any]:
            return {"amount": model.refund(name, amount)}

        self.ask("refund", ADMIN, {"of": self.ids[name], "amount": amount}, act, said, cut)

    @rule(data=st.data(), who=WHO, film=FILMS, parts=CLAIMS, cut=CUTS)
    def dispute(self, data: st.DataObject, who: str, film: str, parts: list[int], cut: int | None) -> None:
        """A payer's bank takes a payment back, or some of it; or gives it again; and so on."""
        if not any(self.model.sales[name].film for name in self.disputable()):
            self.buy_by_card(who, film, "", "", "", True, cut)
        if self.disputable():
            self.claim(data.draw(st.sampled_from(self.disputable())), parts, cut)

    def claim(self, name: str, parts: list[int], cut: int | None) -> None:
        """A payer's bank claims so much of a payment in all, in percent, one after another."""
        for part in parts:
            sale = self.model.sales[name]
            claimed = min(sale.amount * part // 100, sale.amount - sale.returned)
            self.at_bank(name, lambda payment, claimed=claimed: replace(payment, disputed=claimed), cut)
            self.both(lambda model, claimed=claimed: model.dispute(name, claimed))

    @rule(giver=WHO, taker=WHO, amount=SUMS, cut=CUTS)
    def transfer(self, giver: str, taker: str, amount: int, cut: int | None) -> None:
        """From wallet to wallet, some or all."""
        by, to = self.town.person(giver), self.town.person(taker)
        amount = amount or self.model.free(f"wallet:{by.id}") or 1
        order = TransferOrder(to=f"u{self.town.name}{taker}", amount=amount, currency="USD")

        async def act(unit: Opens, key: str) -> dict[str, Any]:
            made = await wallet.transfer(
                order, by=by, key=key, unit=await unit(), clock=self.books.clock, legal_entity=US
            )
            return {"id": str(made.txn), "amount": made.amount}

        def said(model: ModelBooks, _: str) -> dict[str, Any]:
            model.transfer(by.id, to.id, amount)
            return {"amount": amount}

        self.ask("transfer", by, order, act, said, cut)

    @precondition(lambda self: self.earners())
    @rule(whose=WHOSE, amount=SUMS, cut=CUTS)
    def withdraw(self, whose: str, amount: int, cut: int | None) -> None:
        """A seller takes earnings out, some or all."""
        amount = amount or self.model.has(f"earnings:{self.town.seller(whose)}") or 1
        by, order = self.town.owner(whose), WithdrawalOrder(amount=amount, currency="USD")

        async def act(unit: Opens, key: str) -> dict[str, Any]:
            made = await wallet.withdraw(
                f"s{self.town.name}{whose}",
                order,
                by=by,
                key=key,
                unit=await unit(),
                clock=self.books.clock,
                hold_days=9,
                legal_entity=US,
            )
            return {"id": made.id, "state": made.state}

        def said(model: ModelBooks, name: str) -> dict[str, Any]:
            return {"state": model.withdraw(name, self.town.seller(whose), amount, self.books.clock.now())}

        self.ask("withdraw", by, order, act, said, cut)

    @precondition(lambda self: self.model.leaving)
    @rule(data=st.data(), what=st.sampled_from(["approved", "rejected", "paid", "returned"]), cut=CUTS)
    def decide(self, data: st.DataObject, what: str, cut: int | None) -> None:
        """An admin approves a withdrawal, rejects it, or says that it was paid, or came back from the bank."""
        name = data.draw(st.sampled_from(sorted(self.model.leaving)))
        id, clock = self.ids[name], self.books.clock

        async def act(unit: Opens, key: str) -> dict[str, Any]:
            more: dict[str, Any] = {"by": ADMIN, "unit": await unit(), "clock": clock}
            match what:
                case "approved":
                    made = await wallet.approve(id, **more)
                case "rejected" | "returned":
                    made = await wallet.reject(id, Rejection(reason="no", came_back=what == "returned"), **more)
                case _:
                    made = await wallet.complete(id, "ref", **more)
            return {"id": made.id, "state": made.state}

        def said(model: ModelBooks, _: str) -> dict[str, Any]:
            return {"state": model.decide(name, what, clock.now())}

        self.ask(f"withdrawal-{what}", ADMIN, {"of": id}, act, said, cut)

    @rule(who=WHO, amount=st.integers(100, 900), cut=CUTS)
    def buy_card(self, who: str, amount: int, cut: int | None) -> None:
        """A gift card, by wallet."""
        by, new = self.town.person(who), NewGiftCard(amount=amount, currency="USD")

        async def act(unit: Opens, key: str) -> dict[str, Any]:
            made = await giftcards.buy(new, by=by, key=key, unit=await unit(), clock=self.books.clock, legal_entity=US)
            return {"id": made.code, "amount": made.amount}

        def said(model: ModelBooks, name: str) -> dict[str, Any]:
            model.buy_card(name, by.id, amount)
            return {"amount": amount}

        self.ask("gift-card", by, new, act, said, cut)

    @precondition(lambda self: self.model.cards)
    @rule(data=st.data(), who=WHO, cut=CUTS)
    def redeem(self, data: st.DataObject, who: str, cut: int | None) -> None:
        """Somebody brings a card's code, perhaps not the first."""
        name, by = data.draw(st.sampled_from(sorted(self.model.cards))), self.town.person(who)
        code = self.ids[name]

        async def act(unit: Opens, key: str) -> dict[str, Any]:
            made = await giftcards.redeem(code, by=by, unit=await unit(), clock=self.books.clock)
            return {"id": "", "amount": made.amount}

        def said(model: ModelBooks, _: str) -> dict[str, Any]:
            return {"amount": model.redeem(name, by.id)}

        self.ask("redeem", by, {"code": code}, act, said, cut)

    @rule(who=WHO, amount=AMOUNTS, minutes=st.integers(1, 90), cut=CUTS)
    def hold(self, who: str, amount: int, minutes: int, cut: int | None) -> None:
        """A piece of a wallet is set aside: it is there and cannot be spent, until that is over."""
        by, ends = self.town.person(who), self.books.clock.now() + timedelta(minutes=minutes)

        async def act(unit: Opens, key: str) -> dict[str, Any]:
            order = HoldOrder(key=key, account=f"wallet:{by.id}", asset="USD", amount=amount, expires_at=ends)
            return {"id": (await ledger.hold(order, ledger=(await unit()).ledger)).hold}

        def said(model: ModelBooks, name: str) -> dict[str, Any]:
            model.set_aside(name, Held(by.id, amount, ends))
            return {}

        self.ask("hold", by, {"amount": amount}, act, said, cut)

    @rule(hours=st.sampled_from([1, 60, 200, 200]), cut=CUTS)
    def wait(self, hours: int, cut: int | None) -> None:
        """Time goes by, and the worker does what is due: settles, asks for refunds, frees what is over."""
        self.books.clock.advance(hours * 3600)
        self.work(cut)

    @precondition(lambda self: self.past)
    @rule(data=st.data(), changed=st.booleans(), cut=CUTS)
    def again(self, data: st.DataObject, changed: bool, cut: int | None) -> None:
        """A request comes again, word for word: it is answered as before. Or another under its key: that is refused."""
        request, answer = data.draw(st.sampled_from(self.past))
        other = replace(request, body={"other": True})
        found = self.runner.run(self.books.ask(other if changed else request, cut))
        assert found == ("key-reused" if changed else answer)
        self.compare()


def test_books_are_always_as_the_model_has_them(postgres_cluster: Cluster, tmp_path: Path) -> None:
    secrets = FolderSecrets(tmp_path, {})
    secrets.write(SESSION_HMAC, b"0123456789abcdef0123456789abcdef")
    with asyncio.Runner() as runner:
        base = database(postgres_cluster)
        opened = cut_database(runner.run(base.__aenter__()))
        books = Books(runner.run(opened.__aenter__()), secrets)
        try:
            runner.run(books.open())
            run_machine(Machine, examples=EXAMPLES, steps=STEPS, runner=runner, books=books)
            runner.run(audited(books))
        finally:
            runner.run(opened.__aexit__(None, None, None))
            runner.run(base.__aexit__(None, None, None))


async def audited(books: Books) -> None:
    """Nothing differs when all is derived anew, nor from what the bank lists but where it refused to give back."""
    found = await ledger.audit(begin=books.begin)
    assert found.differences == [] and found.txns > EXAMPLES
    differences = (await books.reconciled()).differences
    refused = set(await books.value("select array_agg(purchase) from refund where state = 'failed'") or [])
    assert [one for one in differences if one.purchase not in refused] == []
