"""Statements beside the postings: whatever was sold, taken back, settled and paid out, in any month, they add up."""

from __future__ import annotations

import asyncio
import csv
import io
import itertools
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.control.auth import Assignment, Principal
from gateway.control.checkout import shares
from gateway.control.checkout.shares import Book, Part, Partner
from gateway.control.ledger.model import Kind, Leg, Movement, Stamps, account
from gateway.control.statements import actions, sheets
from gateway.control.statements.model import Section, Statement
from gateway.control.statements.platform import Report, ReportLine
from infra.stack.postgres import Cluster
from shared.money import decimals
from tests.support import months
from tests.support.ledger import Books, open_books
from tests.support.months import Key
from tests.support.postgres import database

MONTHS = ("2026-01", "2026-02", "2026-03")
STARTS = [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3, 4)]
#: Whose books all of it is in: those of each rail, and the own company's where nothing is stamped.
COMPANIES = ("own", "wallet", "bank")
#: Lines of statements, the platform's columns of the same, and the sign by which they differ.
COLUMNS = (
    ("sales", "gross", 1),
    ("refunds", "refunds", -1),
    ("payouts", "payouts", -1),
    ("external", "external", -1),
)
ADMIN = Principal("usr_admin", "registered", "sub", (Assignment("admin"),))
#: Which month each step is in, from the first on: a step never goes back.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["sell", "sell", "refund", "dispute", "win", "settle", "settle", "withdraw", "pay", "bounce", "spend"]
        ),
        st.integers(0, 10**6),
        st.booleans(),
        st.integers(0, 3).map(lambda n: n == 0),
    ),
    min_size=4,
    max_size=14,
)

#: Who brought the buyer has spent what they got by the time it is taken back.
OWING = [("sell", 1998, False, False), ("spend", 0, False, False), ("refund", 10**6, False, True)]
#: What was paid out in one month comes back from the bank in the next.
BOUNCED = [
    ("sell", 998, False, False),
    ("settle", 0, False, False),
    ("withdraw", 0, False, False),
    ("pay", 0, False, False),
    ("bounce", 0, False, True),
    ("withdraw", 0, False, False),
]
#: A seller's own title sold in the books of one company, a partner's in another's, and both paid out by the own one.
THREE_COMPANIES = [
    ("sell", 998, False, False),
    ("sell", 1000, True, False),
    ("settle", 0, False, False),
    ("settle", 1, False, True),
    ("withdraw", 0, False, False),
    ("pay", 0, False, True),
]


class Sold(msgspec.Struct):
    """A sale and what became of it."""

    seller: str
    parts: list[Part]
    rail: Literal["wallet", "bank"]
    is_pending: bool = True


class Story:
    """Two sellers who share in each other's titles, and a month that moves on; each step is one movement."""

    numbers = itertools.count()

    def __init__(self, books: Books) -> None:
        n = next(self.numbers)
        self.books, self.sellers = books, (f"slr_a{n}", f"slr_b{n}")
        self.keys, self.name, self.month = itertools.count(), f"story{n}", 0
        self.sold: list[Sold] = []
        self.paid: list[tuple[str, int]] = []
        self.moments: dict[int, datetime] = {}

    async def open(self) -> None:
        """Found the sellers, whose handles are their ids with a hyphen."""
        for id in self.sellers:
            await self.books.pool.execute(
                "insert into seller (id, name, handle, handle_folded) values ($1, $1, $2, $2)", id, handle_of(id)
            )

    async def step(self, what: str, number: int, odd: bool, later: bool) -> None:
        """One thing that happens, if it can."""
        self.month = min(self.month + later, 2)
        sold = self.sold[number % len(self.sold)] if self.sold else None
        match what:
            case "sell":
                await self.sell(number + 1, odd)
            case "refund" | "dispute" if sold:
                left = sum(part.left for part in sold.parts)
                await self.take(sold, min(left, number + 1), what)
            case "win" if sold:
                back = sum(part.back for part in sold.parts)
                await self.give(sold, "dispute-won", shares.give_again(sold.parts, min(back, number + 1)), -1)
            case "settle" if sold and sold.is_pending:
                await self.settle(sold)
            case "spend":
                amount = (await self.books.balance("wallet:usr_bringer")).balance
                await self.post(
                    "spent", [Leg("wallet:usr_bringer", "USD", -amount), Leg("cash:bank", "USD", amount)], None
                )
            case "withdraw" | "pay":
                await self.move_out(self.sellers[odd], what)
            case "bounce" if self.paid:
                seller, amount = self.paid.pop()
                legs = [Leg("cash:bank", "USD", -amount), Leg(account("payout_in_transit", seller), "USD", amount)]
                await self.post("payout-returned", legs, None, seller=seller)

    async def sell(self, amount: int, odd: bool) -> None:
        """A title of one of them, for which the rail may have paid its seller at once."""
        seller, partner = self.sellers[odd], self.sellers[not odd]
        partners = [Partner(partner, 1 + amount * 7 % 10_000)] if amount % 3 else []
        parts = shares.share_out(amount, amount % 10_001, seller, partners=partners)
        parts = shares.refer(parts, "usr_bringer", 5000) if amount % 2 else parts
        parts = shares.paid_out(parts, seller) if amount % 5 == 0 else parts
        made = Sold(seller=seller, parts=parts, rail="bank" if amount % 5 == 0 or odd else "wallet")
        if made.rail == "wallet":
            cash = [Leg("cash:bank", "USD", -amount), Leg("wallet:usr_v", "USD", amount)]
            await self.post("top-up", cash, None)
        legs = [self.till(made, -amount), *shares.giving(parts, [part.amount for part in parts], self.book(made))]
        if made.rail == "bank":
            legs += [Leg("rail_fee:bank", "EUR", -3), Leg("cash:bank", "EUR", 3)]
        await self.post("sale", legs, made)
        self.sold.append(made)

    async def take(self, sold: Sold, amount: int, kind: str) -> None:
        """Give back some of it, and with a dispute more than there is to share."""
        taken = shares.take_back(sold.parts, amount)
        lost = amount % 4 if kind == "dispute" else 0
        legs = shares.taking(sold.parts, taken, await self.funded(sold))
        await self.post(kind, [*legs, Leg("platform_fee", "USD", -lost), self.till(sold, amount + lost)], sold)
        sold.parts = shares.after(sold.parts, taken)

    async def give(self, sold: Sold, kind: str, given: list[int], sign: int) -> None:
        """Give again what was taken."""
        legs = [self.till(sold, -sum(given)), *shares.giving(sold.parts, given, await self.funded(sold))]
        await self.post(kind, legs, sold)
        sold.parts = shares.after(sold.parts, [sign * one for one in given])

    async def settle(self, sold: Sold) -> None:
        """Make what is pending of it available."""
        await self.post("settlement", shares.settling(sold.parts, await self.funded(sold)), sold)
        sold.is_pending = False

    async def move_out(self, seller: str, what: str) -> None:
        """Take all that is available out, or pay what is on its way."""
        kinds: tuple[Kind, Kind] = ("earnings", "payout_in_transit")
        home = account(kinds[what == "pay"], seller)
        amount = (await self.books.balance(home)).balance
        to = "cash:bank" if what == "pay" else account("payout_in_transit", seller)
        kind = "payout" if what == "pay" else "withdrawal"
        if what == "pay":
            self.paid.append((seller, amount))
        await self.post(kind, [Leg(home, "USD", -amount), Leg(to, "USD", amount)], None, seller=seller)

    def till(self, sold: Sold, amount: int) -> Leg:
        """The payer's side."""
        return Leg("wallet:usr_v" if sold.rail == "wallet" else "cash:bank", "USD", amount)

    def book(self, sold: Sold) -> Book:
        """Where its parts lie."""
        return Book(rail=sold.rail, currency="USD", pending=sold.is_pending)

    async def funded(self, sold: Sold) -> Book:
        """The same, with what is there now; of a settlement what is there after it."""
        book = self.book(sold)
        found = {
            code: (await self.books.balance(code)).balance
            for part in sold.parts
            if part.kind in ("earnings", "wallet")
            for code in (f"earnings:{part.to}", f"receivable:{part.to}", f"wallet:{part.to}")
        }
        return msgspec.structs.replace(book, funds=found)

    async def post(self, kind: str, legs: list[Leg], sold: Sold | None, *, seller: str | None = None) -> None:
        """Book it, if it moves anything, in the month that it is."""
        legs = [leg for leg in legs if leg.amount]
        if not legs:
            return
        stamps = Stamps(
            seller=sold.seller if sold else seller,
            scope=f"ttl_{sold.seller}" if sold else None,
            legal_entity=sold.rail if sold else None,
        )
        key = f"{self.name}:{next(self.keys)}"
        posted = await self.books.post(Movement(key=key, kind=kind, legs=legs, stamps=stamps))
        # At the first moment of the month, or at the last.
        first, last = STARTS[self.month], STARTS[self.month + 1] - timedelta(microseconds=1)
        self.moments[posted.txn] = last if posted.txn % 2 else first


def handle_of(seller: str) -> str:
    """The handle of a seller of these stories."""
    return seller.replace("_", "-")


async def check(story: Story) -> None:
    """Each month of each seller says what its postings do, and begins where the one before ended."""
    for seller in story.sellers:
        closing: dict[Key, int] = {}
        for n, month in enumerate(MONTHS):
            made = await actions.statement(
                handle_of(seller), month, company="own", caller=ADMIN, begin=story.books.begin
            )
            assert told(made.sections) == await expected(story.books, seller, n), (seller, month)
            assert [section.difference for section in made.sections] == [0] * len(made.sections)
            assert {key_of(one): one.opening.total for one in made.sections if one.opening.total} == closing
            closing = {key_of(one): one.closing.total for one in made.sections if one.closing.total}
            check_sheet(made)
        balances = await story.books.pool.fetch(
            "select balance from ledger_account where code = any($1::text[]) and asset = 'USD'",
            [f"{kind}:{seller}" for kind in months.OWN],
        )
        assert sum(closing.values()) == sum(row["balance"] for row in balances)


async def expected(books: Books, owner: str, n: int) -> dict[Key, dict[str, int]]:
    """What the statement of one of the months must tell."""
    return await months.expected(books.pool, owner, (STARTS[n], STARTS[n + 1]), company="own")


def key_of(part: Section | ReportLine) -> Key:
    """Whose books it is of, and in which currency."""
    return part.legal_entity, part.currency


def told(sections: list[Section]) -> dict[Key, dict[str, int]]:
    """A statement by company and currency, without what was nothing."""
    found: dict[Key, dict[str, int]] = {}
    for section in sections:
        lines: dict[str, int] = {one.line: one.amount for one in section.totals() if one.amount}
        found[key_of(section)] = {"opening": section.opening.total, "closing": section.closing.total, **lines}
    return {key: lines for key, lines in found.items() if any(lines.values())}


def check_sheet(made: Statement) -> None:
    """The amounts between its balances add up to what lies between them."""
    rows = list(csv.DictReader(io.StringIO(sheets.statement(made).decode("utf-8-sig"), newline="")))
    running: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row["legal_entity"], row["currency"])
        amount = int(row["amount"].replace(".", "")) if decimals(row["currency"]) else int(row["amount"])
        if row["line"] == "closing_balance":
            assert running[key] == amount
        elif not row["line"].startswith("of_closing_"):
            running[key] = running.get(key, 0) + amount


async def check_platform(books: Books) -> None:
    """The platform's months: what all sellers' say together, and nothing that differs from what is kept."""
    sellers = [row["id"] for row in await books.pool.fetch("select id from seller")]
    for n, month in enumerate(MONTHS):
        report = await actions.report(month, company="own", caller=ADMIN, begin=books.begin)
        assert report.is_balanced and report.checks
        assert {line.legal_entity for line in report.items} == set(COMPANIES)
        all_of = [await expected(books, id, n) for id in sellers]
        owing = await expected(books, "usr_bringer", n)
        for company in COMPANIES:
            for line, name, sign in COLUMNS:
                assert column(report, company, name) == sign * summed(all_of, company, line), (month, company, name)
            held = column(report, company, "held") - column(report, company, "owed")
            assert held == summed([*all_of, owing], company, "closing"), (month, company)


def column(report: Report, company: str, name: str) -> int:
    """What the report tells of one company in USD."""
    return sum(int(getattr(line, name)) for line in report.items if key_of(line) == (company, "USD"))


def summed(all_of: list[dict[Key, dict[str, int]]], company: str, line: str) -> int:
    """One line of all statements, of one company in USD."""
    return sum(one.get((company, "USD"), {}).get(line, 0) for one in all_of)


def test_statements_say_what_the_postings_do(postgres_cluster: Cluster) -> None:
    async def whole(steps: list[tuple[str, int, bool, bool]], books: Books) -> None:
        story = Story(books)
        await story.open()
        for one in steps:
            await story.step(*one)
        await months.move(books.pool, story.moments)
        await check(story)

    with asyncio.Runner() as runner:
        opening = database(postgres_cluster)
        url = runner.run(opening.__aenter__())
        ledger = open_books(url, 2)
        books = runner.run(ledger.__aenter__())

        @settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(steps=STEPS)
        @example(steps=OWING)
        @example(steps=BOUNCED)
        @example(steps=THREE_COMPANIES)
        def run(steps: list[tuple[str, int, bool, bool]]) -> None:
            runner.run(whole(steps, books))

        try:
            run()
            runner.run(check_platform(books))
        finally:
            runner.run(ledger.__aexit__(None, None, None))
            runner.run(opening.__aexit__(None, None, None))
