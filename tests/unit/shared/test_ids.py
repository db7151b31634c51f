"""Ids are random, short ids are readable, and folded forms meet what people mistype."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.ids import (
    SHORT_ALPHABET,
    draw_short_id,
    fold_short_id,
    is_chosen_short_id,
    is_id,
    new_id,
    new_session_id,
)


def test_short_alphabet_is_as_designed() -> None:
    assert SHORT_ALPHABET == "23456789abcdefghjkmnpqrstuvwxyz"
    assert len(SHORT_ALPHABET) == 31


@given(st.integers(4, 8))
def test_drawn_short_id_is_of_the_alphabet_and_folds_to_itself(length: int) -> None:
    drawn = draw_short_id(length)
    assert len(drawn) == length
    assert set(drawn) <= set(SHORT_ALPHABET)
    assert fold_short_id(drawn) == drawn


def test_folding_joins_what_looks_alike() -> None:
    assert fold_short_id("10Il") == fold_short_id("lolI".replace("o", "0")) == "lo" + "ll"


def test_chosen_short_ids_are_four_to_eight_small_letters_and_digits() -> None:
    assert is_chosen_short_id("ab1o")
    assert not any(map(is_chosen_short_id, ["abc", "abcdefghi", "AB12", "ab-1", "ab1o\n"]))


def test_ids_carry_their_kind() -> None:
    made = new_id("ttl")
    assert is_id(made, "ttl")
    assert not is_id(made, "usr")
    assert not is_id(made + "\n")


def test_session_ids_hold_128_bits_and_differ() -> None:
    assert len({new_session_id() for _ in range(1000)}) == 1000
    assert len(new_session_id()) == 22
