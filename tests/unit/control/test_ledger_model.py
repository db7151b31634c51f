"""Movements that may be booked, codes of accounts, and what makes two movements the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.control.ledger.model import (
    Event,
    HoldOrder,
    Leg,
    Movement,
    Stamps,
    account,
    check,
    check_order,
)
from shared.errors import Invalid, Unbalanced

#: Often such that they add up, and as large as they may be.
AMOUNTS = st.one_of(st.integers(-2, 2), st.integers(-(10**39) + 1, 10**39 - 1))
LEGS = (Leg("wallet:usr_1", "USD", -500), Leg("platform_fee", "USD", 50), Leg("earnings:slr_1", "USD", 450))


def made(*legs: Leg, **more: Any) -> Movement:
    """A movement of these legs."""
    return Movement(**({"key": "1", "kind": "sale", "legs": legs or LEGS} | more))


@given(st.lists(st.tuples(st.sampled_from(["USD", "EUR"]), AMOUNTS), min_size=1, max_size=6))
@example([("USD", 5), ("EUR", -5)])
@example([("USD", 10**38), ("USD", -(10**38)), ("EUR", 1), ("EUR", -1)])
def test_movement_may_be_booked_exactly_when_each_asset_adds_up(parts: list[tuple[str, int]]) -> None:
    movement = made(*(Leg("cash:bank", asset, amount) for asset, amount in parts))
    sums = [sum(amount for one, amount in parts if one == asset) for asset in ("USD", "EUR")]
    if any(sums) or not any(amount for _, amount in parts):
        with pytest.raises(Unbalanced):
            check(movement)
    else:
        assert check(movement) is movement


def test_movement_of_nothing_is_refused() -> None:
    with pytest.raises(Unbalanced):
        check(Movement(key="1", kind="sale", legs=()))


@pytest.mark.parametrize("amount", [4.99, 5.0, True, "5", None, 10**39, -(10**39), float("nan")])
def test_what_is_no_amount_is_refused(amount: object) -> None:
    number = cast(int, amount)
    with pytest.raises(Invalid):
        check(made(Leg("cash:bank", "USD", number), Leg("platform_fee", "USD", number)))
    with pytest.raises(Invalid):
        check_order(
            HoldOrder(key="1", account="wallet:usr_1", asset="USD", amount=number, expires_at=datetime.now(UTC))
        )


@pytest.mark.parametrize("amount", [0, -1])
def test_only_what_is_above_zero_can_be_held(amount: int) -> None:
    with pytest.raises(Invalid):
        check_order(
            HoldOrder(key="1", account="wallet:usr_1", asset="USD", amount=amount, expires_at=datetime.now(UTC))
        )


def test_code_of_an_account_names_its_kind_and_whose_it_is() -> None:
    assert account("platform_fee") == "platform_fee"
    assert account("external", "stripe", "slr_1") == "external:stripe:slr_1"


@pytest.mark.parametrize("owner", ["", "a:b", "usr 1", "usr_1\n", "ü"])
def test_what_cannot_be_part_of_a_code_is_refused(owner: str) -> None:
    with pytest.raises(Invalid):
        account("wallet", owner)


def test_hash_tells_movements_apart_and_leaves_key_and_events_out() -> None:
    others = [
        made(kind="tip"),
        made(*LEGS[::-1]),
        made(*LEGS[:2]),
        made(stamps=Stamps(seller="slr_1")),
        made(stamps=Stamps(scope="slr_1")),
        made(reverses=1),
    ]
    assert len({one.hash for one in (made(), *others)}) == len(others) + 1
    assert made(key="2", events=[Event("ledger.posted", "x")]).hash == made().hash
