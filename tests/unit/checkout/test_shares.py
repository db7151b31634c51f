"""What is shared out is all there is, what is taken back is what was given, and nobody is taken below zero."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.control.checkout.shares import (
    Book,
    Part,
    Partner,
    accounts_of,
    after,
    give_again,
    giving,
    kept_here,
    owe,
    paid_out,
    refer,
    settling,
    share_out,
    take_back,
    taking,
    top_up,
)
from gateway.control.ledger.model import Leg
from shared.errors import Invalid
from shared.money import fee_minor

AMOUNTS = st.integers(0, 10**12)
BP = st.integers(0, 10_000)


@st.composite
def partners(draw: st.DrawFn) -> list[Partner]:
    shares = draw(st.lists(st.integers(1, 3000), max_size=3))
    return [Partner(f"slr_{n}", share) for n, share in enumerate(shares)]


@given(AMOUNTS, BP, partners())
def test_sale_is_shared_out_without_rest_and_the_fee_is_rounded_down(
    amount: int, fee_bp: int, others: list[Partner]
) -> None:
    parts = share_out(amount, fee_bp, "slr_x", partners=others)
    assert sum(part.amount for part in parts) == amount
    assert all(part.amount >= 0 for part in parts)
    fee = sum(part.amount for part in parts if part.kind == "fee")
    assert fee == fee_minor(amount, fee_bp)
    for partner in others:
        got = next(part.amount for part in parts if part.to == partner.seller)
        assert abs(got * 10_000 - (amount - fee) * partner.share_bp) < 10_000


def test_seller_gets_what_fee_and_partners_leave() -> None:
    parts = share_out(999, 1000, "slr_x", partners=[Partner("slr_a", 2500)])
    assert [(part.kind, part.to, part.amount) for part in parts] == [
        ("fee", "", 99),
        ("earnings", "slr_x", 675),
        ("earnings", "slr_a", 225),
    ]


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ([Partner("slr_a", 6000), Partner("slr_b", 4001)], "together they are 100 % at most"),
        ([Partner("slr_a", 1), Partner("slr_a", 1)], "named twice"),
        ([Partner("slr_x", 1)], "cannot be its partner"),
        ([Partner("slr_a", 0)], "above 0"),
        ([Partner("slr_a", -5)], "above 0"),
    ],
)
def test_shares_that_do_not_fit_are_refused_in_words_of_what_is_wrong(others: list[Partner], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        share_out(100, 1000, "slr_x", partners=others)


@given(AMOUNTS, BP, partners(), st.lists(st.integers(1, 10**12), max_size=6))
def test_taking_back_in_any_steps_takes_from_each_what_it_got(
    amount: int, fee_bp: int, others: list[Partner], steps: list[int]
) -> None:
    parts = share_out(amount, fee_bp, "slr_x", partners=others)
    left = amount
    for step in [*steps, left]:
        step = min(step, left)
        taken = take_back(parts, step)
        assert sum(taken) == step
        assert all(0 <= one <= part.left for one, part in zip(taken, parts, strict=True))
        parts, left = after(parts, taken), left - step
    taken = take_back(parts, left)
    assert [part.back for part in after(parts, taken)] == [part.amount for part in parts]


@given(st.integers(1, 10**12), BP, partners(), st.integers(0, 10**12))
def test_what_was_taken_back_can_be_given_again(amount: int, fee_bp: int, others: list[Partner], part: int) -> None:
    parts = share_out(amount, fee_bp, "slr_x", partners=others)
    part = min(part, amount)
    taken = take_back(parts, part)
    given_again = give_again(after(parts, taken), part)
    assert given_again == taken


def test_more_than_was_paid_or_taken_is_refused() -> None:
    parts = share_out(100, 1000, "slr_x")
    for wrong in (101, -1):
        with pytest.raises(Invalid):
            take_back(parts, wrong)
    with pytest.raises(Invalid):
        give_again(parts, 1)


@given(AMOUNTS, BP, partners(), st.dictionaries(st.sampled_from(["slr_x", "slr_0", "slr_1"]), st.integers(0, 10**12)))
def test_taking_of_settled_earnings_leaves_none_below_zero_and_owes_the_rest(
    amount: int, fee_bp: int, others: list[Partner], have: dict[str, int]
) -> None:
    parts = share_out(amount, fee_bp, "slr_x", partners=others)
    book = Book(rail="wallet", currency="USD", pending=False, funds={f"earnings:{k}": v for k, v in have.items()})
    legs = taking(parts, take_back(parts, amount), book)
    assert sum(leg.amount for leg in legs) == -amount
    for leg in legs:
        assert leg.amount <= 0
        if leg.account.startswith("earnings:"):
            assert book.funds.get(leg.account, 0) + leg.amount >= 0


@given(AMOUNTS, BP, partners(), st.integers(0, 10**12))
def test_settling_moves_all_and_pays_what_is_owed_first(
    amount: int, fee_bp: int, others: list[Partner], owed: int
) -> None:
    parts = share_out(amount, fee_bp, "slr_x", partners=others)
    book = Book(rail="wallet", currency="USD", pending=True, funds={"receivable:slr_x": -owed})
    legs = settling(parts, book)
    by_account = {leg.account: leg.amount for leg in legs}
    mine = next((part.amount for part in parts if part.to == "slr_x"), 0)
    assert sum(by_account.values()) == 0
    assert by_account.get("receivable:slr_x", 0) == min(owed, mine)
    assert by_account.get("earnings_pending:slr_x", 0) == -mine
    assert by_account.get("earnings:slr_x", 0) == mine - min(owed, mine)


@given(AMOUNTS, BP, partners(), BP)
def test_who_brought_the_buyer_is_paid_from_the_platforms_fee_alone(
    amount: int, fee_bp: int, others: list[Partner], bp: int
) -> None:
    parts = share_out(amount, fee_bp, "slr_x", partners=others)
    referred = refer(parts, "usr_9", bp)
    assert sum(part.amount for part in referred) == amount
    assert [part.n for part in referred] == list(range(len(referred)))
    assert [part for part in referred if part.kind == "earnings"] == [part for part in parts if part.kind == "earnings"]
    credit = sum(part.amount for part in referred if part.kind == "wallet")
    assert credit == fee_minor(fee_minor(amount, fee_bp), bp)


def test_pending_earnings_and_what_a_rail_paid_out_are_taken_where_they_lie() -> None:
    parts = paid_out(share_out(1000, 1000, "slr_x", partners=[Partner("slr_a", 5000)]), "slr_x")
    book = Book(rail="stripe", currency="USD", pending=True)
    assert giving(parts, [100, 450, 450], book) == [
        Leg("platform_fee", "USD", 100),
        Leg("external:stripe:slr_x", "USD", 450),
        Leg("earnings_pending:slr_a", "USD", 450),
    ]
    assert [leg.account for leg in settling(parts, book)] == ["earnings_pending:slr_a", "earnings:slr_a"]
    assert accounts_of(parts, book) == []
    settled = Book(rail="stripe", currency="USD", pending=False)
    assert accounts_of(parts, settled) == ["earnings:slr_a", "receivable:slr_a"]


def test_top_up_that_is_taken_back_from_an_empty_wallet_is_owed_and_the_next_one_pays_it() -> None:
    parts = top_up(500, "usr_1")
    empty = Book(rail="stripe", currency="USD", pending=False, funds={"wallet:usr_1": 120})
    assert taking(parts, [500], empty) == [Leg("wallet:usr_1", "USD", -120), Leg("receivable:usr_1", "USD", -380)]
    owing = Book(rail="stripe", currency="USD", pending=False, funds={"receivable:usr_1": -380})
    assert giving(parts, [500], owing) == [Leg("receivable:usr_1", "USD", 380), Leg("wallet:usr_1", "USD", 120)]


def test_part_keeps_what_is_left_of_it() -> None:
    assert Part(n=0, kind="fee", to="", amount=10, back=3).left == 7


def test_what_a_rail_paid_out_and_cannot_take_back_is_taken_from_earnings_and_the_rest_is_owed() -> None:
    parts = paid_out(share_out(1000, 1000, "slr_x", partners=[Partner("slr_a", 1000)]), "slr_x")
    there = Book(rail="stripe", currency="USD", pending=True, funds={"earnings:slr_x": 300})
    taken = take_back(parts, 1000)
    assert Leg("external:stripe:slr_x", "USD", -810) in taking(parts, taken, there)
    owed = replace(there, owed=True)
    assert set(accounts_of(parts, owed)) == {"earnings:slr_x", "receivable:slr_x"}
    assert taking(parts, taken, owed) == [
        Leg("platform_fee", "USD", -100),
        Leg("earnings:slr_x", "USD", -300),
        Leg("receivable:slr_x", "USD", -510),
        Leg("earnings_pending:slr_a", "USD", -90),
    ]
    # Won: where it was taken here it comes back here, and the rail's part is what it was.
    lost = after(parts, taken, owed=True)
    kept, given = kept_here(lost, give_again(lost, 1000))
    assert (kept, given) == (lost, [100, 810, 90])
    assert giving(kept, given, replace(owed, funds={"receivable:slr_x": -510}))[1:3] == [
        Leg("receivable:slr_x", "USD", 510),
        Leg("earnings:slr_x", "USD", 300),
    ]
    assert after(kept, [-one for one in given], owed=True) == parts
    # Where the rail took it, it stays here.
    again = after(parts, taken)
    kept, given = kept_here(again, give_again(again, 1000))
    assert [(part.kind, part.amount) for part in kept] == [
        ("fee", 100),
        ("external", 0),
        ("earnings", 90),
        ("earnings", 810),
    ]
    assert given == [100, 0, 90, 810]
    assert kept_here(parts, [0, 0, 0]) == (parts, [0, 0, 0])


def test_of_what_a_rail_paid_out_only_what_was_won_back_is_earnings() -> None:
    parts = paid_out(share_out(1000, 1000, "slr_x", partners=[Partner("slr_a", 5000)]), "slr_x")
    disputed = after(parts, take_back(parts, 500))
    kept, given = kept_here(disputed, give_again(disputed, 500))
    won = after(kept, [-one for one in given])
    assert [(part.n, part.kind, part.to, part.left) for part in won] == [
        (0, "fee", "", 100),
        (1, "external", "slr_x", 225),
        (2, "earnings", "slr_a", 450),
        (3, "earnings", "slr_x", 225),
    ]
    # No more becomes available than was put there.
    book = Book(rail="stripe", currency="USD", pending=True)
    assert [leg.amount for leg in settling(won, book) if leg.account == "earnings_pending:slr_x"] == [-225]
    assert sum(take_back(won, 1000)) == 1000


@given(AMOUNTS, BP, st.lists(st.tuples(st.integers(1, 10**12), st.booleans(), st.booleans()), max_size=6))
def test_what_lies_with_a_rail_is_what_it_was_not_asked_for_and_no_part_is_taken_twice(
    amount: int, fee_bp: int, steps: list[tuple[int, bool, bool]]
) -> None:
    parts = paid_out(share_out(amount, fee_bp, "slr_x"), "slr_x")
    lies, here = sum(part.amount for part in parts if part.kind == "external"), 0
    for step, owed, won in steps:
        step = min(step, sum(part.left for part in parts))
        taken = take_back(parts, step)
        mine = sum(one for part, one in zip(parts, taken, strict=True) if part.kind == "external")
        rest = sum(one for part, one in zip(parts, taken, strict=True) if part.kind == "earnings")
        lies, here = lies - (0 if owed else mine), here - rest - (mine if owed else 0)
        parts = after(parts, taken, owed=owed)
        if won:
            parts, given = kept_here(parts, give_again(parts, step))
            here += sum(one for part, one in zip(parts, given, strict=True) if part.kind != "fee")
            parts = after(parts, [-one for one in given], owed=True)
        assert all(0 <= part.owed <= part.back <= part.amount for part in parts)
        assert lies == sum(part.left + part.owed for part in parts if part.kind == "external")
        assert lies + here == sum(part.left for part in parts if part.kind != "fee")


def test_two_parts_of_one_owner_are_not_taken_of_the_same_earnings_nor_do_they_pay_one_debt_twice() -> None:
    parts = [Part(n=n, kind="earnings", to="slr_x", amount=200) for n in range(2)]
    book = Book(rail="stripe", currency="USD", pending=False, funds={"earnings:slr_x": 300, "receivable:slr_x": -300})
    assert [(leg.account, leg.amount) for leg in taking(parts, [200, 200], book)] == [
        ("earnings:slr_x", -200),
        ("earnings:slr_x", -100),
        ("receivable:slr_x", -100),
    ]
    assert [(leg.account, leg.amount) for leg in giving(parts, [200, 200], book)] == [
        ("receivable:slr_x", 200),
        ("earnings:slr_x", 0),
        ("receivable:slr_x", 100),
        ("earnings:slr_x", 100),
    ]


def test_what_a_rail_could_not_take_of_a_refund_is_owed_of_its_part_alone() -> None:
    parts = paid_out(share_out(1000, 1000, "slr_x", partners=[Partner("slr_a", 1000)]), "slr_x")
    assert [part.owed for part in owe(after(parts, [100, 810, 90]), 810)] == [0, 810, 0]


def test_what_a_rail_could_not_take_is_no_earnings_here_any_more_where_it_was_given_again_meanwhile() -> None:
    sold = paid_out(share_out(1000, 1000, "slr_x", partners=[Partner("slr_a", 1000)]), "slr_x")
    kept, given = kept_here(after(sold, [100, 810, 90]), [100, 810, 90])
    won = after(kept, [-one for one in given], owed=True)
    assert [(part.kind, part.amount) for part in won] == [
        ("fee", 100),
        ("external", 0),
        ("earnings", 90),
        ("earnings", 810),
    ]
    assert [part for part in owe(won, 810) if part.amount] == sold
    # Of what was not given again the part is owed.
    again = owe(after(won, [0, 0, 0, 410]), 810)
    assert [(part.amount, part.back, part.owed) for part in (again[1], again[3])] == [(400, 0, 0), (410, 410, 0)]
