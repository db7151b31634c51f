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


@pytest.mark.parametrize(("amount", "currency"), [(99, "USD"), (100_001, "USD"), (0, "JPY"), (1001, "JPY")])
def test_card_holds_neither_next_to_nothing_nor_a_fortune(amount: int, currency: str) -> None:
    with pytest.raises(Invalid, match="holds from"):
        check_amount(amount, currency)


@pytest.mark.parametrize(("amount", "currency"), [(100, "USD"), (100_000, "USD"), (1, "JPY"), (1000, "JPY")])
def test_card_holds_what_lies_between(amount: int, currency: str) -> None:
    check_amount(amount, currency)
