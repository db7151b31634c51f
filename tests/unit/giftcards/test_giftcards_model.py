"""Codes of gift cards, and what cards hold."""

from __future__ import annotations

import pytest

from gateway.control.giftcards.model import check_amount, draw_code, hash_of
from shared.errors import Invalid


def test_code_is_found_however_it_was_typed_and_no_two_are_alike() -> None:
    code = draw_code()
    assert [len(group) for group in code.split("-")] == [4, 4, 4, 4]
    assert hash_of(f" {code.upper().replace('-', ' ')} ") == hash_of(code)
    assert len({draw_code() for _ in range(200)}) == 200


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        (99, "USD"),
        (100_001, "USD"),
        (99, "EUR"),
        (99, "JPY"),
        (100_001, "JPY"),
        (999_999, "IDR"),
        (1_000_000_001, "IDR"),
        (9999, "VND"),
        (99, "XYZ"),
        (100_001, "XYZ"),
    ],
)
def test_card_holds_neither_next_to_nothing_nor_a_fortune(amount: int, currency: str) -> None:
    with pytest.raises(Invalid, match="holds from"):
        check_amount(amount, currency)


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        (100, "USD"),
        (100_000, "USD"),
        (100, "EUR"),
        (100, "JPY"),
        (100_000, "JPY"),
        (1_000_000, "IDR"),
        (1_000_000_000, "IDR"),
        (50_000, "VND"),
        (100, "XYZ"),
        (100_000, "XYZ"),
    ],
)
def test_card_holds_what_lies_between(amount: int, currency: str) -> None:
    check_amount(amount, currency)
