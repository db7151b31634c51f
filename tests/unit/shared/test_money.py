"""Amounts are whole smallest units, and fees leave nothing over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Invalid
from shared.money import Money, fee_minor, parse


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


@given(st.integers(0, 10**15), st.integers(0, 10_000))
def test_fee_never_exceeds_the_amount_and_never_rounds_up(amount: int, bp: int) -> None:
    fee = fee_minor(amount, bp)
    assert 0 <= fee <= amount
    assert fee * 10_000 <= amount * bp < (fee + 1) * 10_000


def test_fee_refuses_more_than_the_whole() -> None:
    with pytest.raises(Invalid):
        fee_minor(100, 10_001)
