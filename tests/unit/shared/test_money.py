"""Amounts are whole smallest units, fees are rounded down, and what is split is split without rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Invalid
from shared.money import Money, Share, fee_minor, parse, split, to_json


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("4.99", "USD", 499), ("4.9", "USD", 490), ("5", "USD", 500), ("0", "USD", 0), ("1200", "JPY", 1200)],
)
def test_parse_gives_minor_units(text: str, currency: str, minor: int) -> None:
    assert parse(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("text", "currency"),
    [("4.999", "USD"), ("1.5", "JPY"), ("-1", "USD"), ("4,99", "USD"), ("", "USD"), ("1e3", "USD"), ("5", "usd")],
)
def test_parse_refuses_what_is_no_amount(text: str, currency: str) -> None:
    with pytest.raises(Invalid):
        parse(text, currency)


@given(st.integers(0, 10**12 - 1), st.sampled_from(["USD", "JPY", "KWD"]))
def test_money_reads_back_as_it_was_written(minor: int, currency: str) -> None:
    assert parse(str(Money(minor, currency)).split()[0], currency).amount_minor == minor


def test_money_below_zero_is_written_with_its_sign_before_it() -> None:
    told = [str(Money(minor, currency)) for minor, currency in ((-499, "USD"), (-1, "USD"), (-7, "JPY"), (0, "USD"))]
    assert told == ["-4.99 USD", "-0.01 USD", "-7 JPY", "0.00 USD"]


@given(st.integers(0, 10**15), st.integers(0, 10_000))
def test_fee_never_exceeds_the_amount_and_never_rounds_up(amount: int, bp: int) -> None:
    fee = fee_minor(amount, bp)
    assert 0 <= fee <= amount
    assert fee * 10_000 <= amount * bp < (fee + 1) * 10_000


def test_fee_refuses_more_than_the_whole() -> None:
    with pytest.raises(Invalid):
        fee_minor(100, 10_001)


#: Amounts as they occur, and as large as the ledger's.
AMOUNTS = st.one_of(st.integers(0, 10_000), st.integers(0, 10**39 - 1))
WEIGHTS = st.lists(st.integers(1, 10_000), min_size=1, max_size=8)


def by_weight(*weights: int) -> list[Share]:
    """Partners with these weights."""
    return [Share(to=f"slr_{index}", weight=weight) for index, weight in enumerate(weights)]


@pytest.mark.parametrize(
    ("amount", "shares", "parts"),
    [
        (499, [Share(to="fee", bp=1000), *by_weight(1)], [49, 450]),
        (1, [Share(to="fee", bp=1000), *by_weight(1)], [0, 1]),
        (100, by_weight(1, 1, 1), [34, 33, 33]),
        (101, by_weight(1, 1, 1), [34, 34, 33]),
        (10, by_weight(1, 8, 1), [1, 8, 1]),
        (11, by_weight(1, 8, 1), [1, 9, 1]),
        (1000, [Share(to="fee", bp=1000), Share(to="tax", bp=1999), *by_weight(70, 30)], [100, 199, 491, 210]),
        (7, [*by_weight(1), Share(to="fee", bp=5000)], [4, 3]),
        (0, by_weight(1, 2), [0, 0]),
        (0, [], []),
        (5, [Share(to="fee", bp=10_000)], [5]),
    ],
)
def test_split_gives_each_share_its_part_in_order(amount: int, shares: list[Share], parts: list[int]) -> None:
    assert split(amount, shares) == parts


@given(AMOUNTS, st.lists(st.integers(1, 2000), max_size=5), WEIGHTS)
def test_split_leaves_nothing_over(amount: int, points: list[int], weights: list[int]) -> None:
    shares = [*(Share(to="taken", bp=bp) for bp in points), *by_weight(*weights)]
    parts = split(amount, shares)
    assert sum(parts) == amount and min(parts) >= 0
    assert parts[: len(points)] == [fee_minor(amount, bp) for bp in points]


@given(AMOUNTS, WEIGHTS)
def test_split_is_less_than_a_unit_off_and_rounds_the_largest_remainders_up(amount: int, weights: list[int]) -> None:
    parts, total = split(amount, by_weight(*weights)), sum(weights)
    assert all(abs(part * total - amount * weight) < total for part, weight in zip(parts, weights, strict=True))
    remainders = [(-(amount * weight % total), index) for index, weight in enumerate(weights)]
    up = {index for index, part in enumerate(parts) if part > amount * weights[index] // total}
    assert up == {index for _, index in sorted(remainders)[: len(up)]}


@given(AMOUNTS, WEIGHTS, st.integers(2, 50))
def test_split_goes_by_proportion_alone(amount: int, weights: list[int], factor: int) -> None:
    assert split(amount, by_weight(*weights)) == split(amount, by_weight(*(factor * weight for weight in weights)))


@pytest.mark.parametrize(
    ("amount", "shares"),
    [
        (-1, by_weight(1)),
        (10, [Share(to="fee", bp=-1), *by_weight(1)]),
        (10, by_weight(2, -1)),
        (10, [Share(to="fee", bp=6000), Share(to="tax", bp=4001), *by_weight(1)]),
        (10, [Share(to="fee", bp=1000)]),
        (10, []),
        (10, [Share(to="both", bp=1000, weight=1)]),
        (10, [Share(to="neither"), *by_weight(1)]),
    ],
)
def test_split_refuses_what_cannot_come_out_even(amount: int, shares: list[Share]) -> None:
    with pytest.raises(Invalid):
        split(amount, shares)


def test_amount_is_text_in_json_where_a_double_would_lose_digits() -> None:
    assert [to_json(n) for n in (0, -499, 2**53 - 1, 1 - 2**53)] == [0, -499, 2**53 - 1, 1 - 2**53]
    assert [to_json(n) for n in (2**53, -(2**53), 10**38)] == [str(2**53), str(-(2**53)), "1" + 38 * "0"]
