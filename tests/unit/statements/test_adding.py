"""Flows added up: sales by day and title, months, and statements whose lines lead from one balance to the next."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.checkout import shares
from gateway.control.checkout.shares import Book, Partner
from gateway.control.ledger.model import Leg, account
from gateway.control.sellers.model import Seller
from gateway.control.statements import adding, model
from gateway.control.statements.model import AccountSum, Flow, Section, Side
from shared.errors import Invalid

NOW = datetime(2026, 12, 3, tzinfo=UTC)
SELLER = Seller("slr_a", "Studio", "studio")


def flow(kind: str, side: Side, amount: int, **about: object) -> Flow:
    """A flow of the seller's own title in USD, by one movement."""
    facts = {"legal_entity": "usher", "currency": "USD", "is_own": True, "txns": 1, **about}
    return Flow(kind=kind, side=side, amount=amount, **facts)  # type: ignore[arg-type]


def sale(**about: object) -> list[Flow]:
    """5.00 of which the seller gets 3.15 and a partner 1.35."""
    parts: list[tuple[Side, int]] = [("paid", -500), ("fee", 50), ("others", 135), ("own", 315)]
    return [flow("sale", side, amount, **about) for side, amount in parts]


def section_of(flows: list[Flow], opening: int = 0, **closing: int) -> Section:
    """The only section of a statement; each account began with as much."""
    sums = [
        AccountSum(legal_entity="usher", currency="USD", kind=kind, opening=opening, closing=amount)
        for kind, amount in closing.items()
    ]
    (found,) = adding.statement(SELLER, "2026-11", now=NOW, flows=flows, sums=sums).sections
    return found


def lines(section: Section) -> dict[str, tuple[int, int]]:
    """Count and amount of each line."""
    return {one.line: (one.count, one.amount) for one in section.totals()}


def test_day_tells_what_was_paid_and_who_got_what_of_it() -> None:
    first, second = date(2026, 11, 1), date(2026, 11, 2)
    back = [flow("refund", side, amount, day=second) for side, amount in (("paid", 100), ("fee", -10), ("own", -90))]  # type: ignore[arg-type]
    found = adding.sales([*back, *sale(day=first, txns=3)], "day").items
    assert [(one.day, one.purchases, one.refunds, one.gross, one.fee, one.others, one.net) for one in found] == [
        (first, 3, 0, 500, 50, 135, 315),
        (second, 0, 1, -100, -10, 0, -90),
    ]


def test_refund_that_the_rail_could_not_take_from_the_seller_stays_with_what_it_paid_out() -> None:
    passed_on: list[tuple[str, Side, int]] = [
        ("sale", "paid", -500), ("sale", "fee", 50), ("sale", "external", 450),
        ("refund", "paid", 500), ("refund", "fee", -50), ("refund", "external", -450),
        ("refund-owed", "external", 450), ("refund-owed", "own", -450),
    ]  # fmt: skip
    found = lines(section_of([flow(*one) for one in passed_on], receivable=-450))
    assert found == {"sales": (1, 500), "refunds": (1, -500), "external": (0, -450)}


def test_titles_are_told_the_largest_first_each_currency_apart() -> None:
    flows = [*sale(title="ttl_1"), *sale(title="ttl_2", currency="EUR"), *sale(title="ttl_2"), *sale(title="ttl_2")]
    found = adding.sales(flows, "title").items
    assert [(one.title, one.currency, one.gross) for one in found] == [
        ("ttl_2", "USD", 1000), ("ttl_1", "USD", 500), ("ttl_2", "EUR", 500)
    ]  # fmt: skip


def test_what_settles_and_what_is_paid_out_is_no_sale() -> None:
    flows = [flow("settlement", "own", 0), flow("payout", "own", -300), flow("payout", "paid", 300)]
    assert adding.sales(flows, "day").items == []


def test_amounts_that_readers_of_json_would_lose_are_told_as_text() -> None:
    (one,) = adding.sales([flow("sale", "paid", -(2**60)), flow("sale", "own", 2**60)], "day").items
    assert (one.gross, one.net) == (str(2**60), str(2**60))


def test_statement_leads_from_the_opening_to_the_closing_balance() -> None:
    flows = [*sale(), flow("settlement", "own", 0), flow("payout", "own", -200), flow("gift", "own", 7)]
    found = section_of(flows, earnings=115, payout_in_transit=0, receivable=0, earnings_pending=7)
    assert lines(found) == {
        "sales": (1, 500), "fees": (0, -50), "partner_shares": (0, -135), "payouts": (0, -200), "other": (0, 7)
    }  # fmt: skip
    assert (found.closing.total, found.difference) == (122, 0)


def test_balance_that_the_month_began_with_is_no_line() -> None:
    found = section_of(sale(), opening=100, earnings=415)
    assert (found.opening.available, found.opening.total, found.difference) == (100, 100, 0)


def test_what_moves_among_the_sellers_own_accounts_has_no_line() -> None:
    found = section_of([flow("settlement", "own", 0), flow("withdrawal", "own", 0)], earnings=5, earnings_pending=-5)
    assert lines(found) == {}


def test_what_the_rail_paid_at_once_is_told_and_changes_no_balance() -> None:
    flows = [flow("sale", side, amount) for side, amount in (("paid", -500), ("fee", 50), ("external", 450))]  # type: ignore[arg-type]
    found = section_of(flows)
    assert lines(found) == {"sales": (1, 500), "fees": (0, -50), "external": (0, -450)}
    assert found.difference == 0


def test_partner_is_told_of_nothing_but_what_they_got() -> None:
    found = section_of(sale(is_own=False), earnings_pending=315)
    assert lines(found) == {"shares": (0, 315)} and found.difference == 0


def test_balance_that_its_entries_do_not_bear_out_is_found() -> None:
    assert section_of(sale(), earnings_pending=316).difference == 1


def test_money_that_is_owed_is_part_of_the_balance() -> None:
    flows = [flow("dispute", side, amount) for side, amount in (("paid", 500), ("fee", -50), ("own", -450))]  # type: ignore[arg-type]
    found = section_of(flows, receivable=-450)
    assert (found.closing.owed, found.closing.total, found.difference) == (-450, -450, 0)


def test_month_is_over_when_the_next_begins() -> None:
    over = adding.statement(SELLER, "2026-11", now=datetime(2026, 12, 1, tzinfo=UTC), flows=[], sums=[])
    assert over.is_final and over.sections == []
    assert not adding.statement(SELLER, "2026-12", now=NOW, flows=[], sums=[]).is_final


def test_months_reach_from_the_first_posting_to_now() -> None:
    found = model.months(datetime(2026, 10, 31, 23, 59, tzinfo=UTC), datetime(2027, 1, 31, tzinfo=UTC)).items
    assert [(one.month, one.is_final) for one in found] == [
        ("2027-01", False), ("2026-12", True), ("2026-11", True), ("2026-10", True)
    ]  # fmt: skip
    assert model.months(None, NOW).items == []


@pytest.mark.parametrize("month", ["", "2026-13", "2026-00", "26-11", "2026-11-01", "2026-1", "1999-12", "2026-11\n"])
def test_what_is_no_month_is_refused(month: str) -> None:
    with pytest.raises(Invalid):
        model.bounds(month)


def test_year_ends_in_december() -> None:
    assert model.bounds("2026-12") == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def test_span_holds_its_last_day() -> None:
    found = model.span("2026-11-01", "2026-11-01", date(2026, 12, 1))
    assert found == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))
    assert model.span("", "", date(2026, 11, 30))[0] == datetime(2026, 11, 1, tzinfo=UTC)
    assert model.span("2024-01-01", "2024-12-31", date(2026, 12, 1))[1] == datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "days",
    [("2026-11-02", "2026-11-01"), ("2025-11-01", "2026-11-02"), ("2026-11-31", ""), ("20261101", ""), ("x", "")],
)
def test_span_that_cannot_be_is_refused(days: tuple[str, str]) -> None:
    with pytest.raises(Invalid):
        model.span(*days, date(2026, 12, 1))


@given(
    amount=st.integers(1, 10**9),
    fee_bp=st.integers(0, 10_000),
    partner_bp=st.integers(1, 10_000),
    back_bp=st.integers(0, 10_000),
    referred=st.booleans(),
    paid_out=st.booleans(),
)
def test_lines_of_what_was_sold_and_taken_back_end_in_what_is_on_the_accounts(
    amount: int, fee_bp: int, partner_bp: int, back_bp: int, referred: bool, paid_out: bool
) -> None:
    parts = shares.share_out(amount, fee_bp, "slr_a", partners=[Partner("slr_b", partner_bp)])
    parts = shares.refer(parts, "usr_r", 5000) if referred else parts
    parts = shares.paid_out(parts, "slr_a") if paid_out else parts
    book = Book(rail="bank", currency="USD", pending=False)
    taken = shares.take_back(parts, amount * back_bp // 10_000)
    sold = [Leg("wallet:usr_v", "USD", -amount), *shares.giving(parts, [part.amount for part in parts], book)]
    returned = [*shares.taking(parts, taken, book), Leg("wallet:usr_v", "USD", sum(taken))]
    for seller in ("slr_a", "slr_b"):
        own = {account("earnings", seller), account("receivable", seller)}
        flows = [
            flow(kind, side_of(leg.account, seller), leg.amount, is_own=seller == "slr_a")
            for kind, legs in (("sale", sold), ("refund", returned))
            for leg in legs
        ]
        closing: dict[str, int] = {}
        for leg in [*sold, *returned]:
            if leg.account in own:
                kind = leg.account.partition(":")[0]
                closing[kind] = closing.get(kind, 0) + leg.amount
        sums = [
            AccountSum(legal_entity="usher", currency="USD", kind=k, opening=0, closing=v) for k, v in closing.items()
        ]
        made = adding.statement(SELLER, "2026-11", now=NOW, flows=flows, sums=sums)
        assert [section.difference for section in made.sections] == [0] * len(made.sections)


def side_of(code: str, seller: str) -> Side:
    """Whose an account is, seen from a seller."""
    kind, *owners = code.split(":")
    if kind == "platform_fee" or "usr_r" in owners:
        return "fee"
    if "usr_v" in owners:
        return "paid"
    if seller not in owners:
        return "others"
    return "external" if kind == "external" else "own"
