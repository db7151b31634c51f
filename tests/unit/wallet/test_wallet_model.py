"""Transfers, withdrawals and cursors as values, and amounts told in another currency."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.ledger.model import Balance
from gateway.control.wallet.model import (
    check_transfer,
    decode_cursor,
    earnings_of,
    encode_cursor,
    told,
    wallet_of,
)
from gateway.control.wallet.withdrawals import (
    MOVES,
    Policy,
    Withdrawal,
    WithdrawalOrder,
    arriving,
    bouncing,
    decide,
    default_policy,
    leaving,
    moved,
    returning,
)
from shared.errors import Conflict, Invalid
from shared.money import Money
from shared.rates import PER_DOLLAR, shown

NOW = datetime(2026, 11, 1, tzinfo=UTC)
TERMS = Policy(rail="bank", currency="USD", minimum=5000, hold_days=3, auto_up_to=10_000)


def asked(amount: int, policy: Policy = TERMS) -> Withdrawal:
    order = WithdrawalOrder(amount=amount, currency=policy.currency, rail=policy.rail)
    return decide("wdr_1", order, policy, seller="slr_1", now=NOW)


@pytest.mark.parametrize(("currency", "least"), [("USD", 100), ("JPY", 1), ("KWD", 1000)])
def test_transfer_moves_one_unit_at_least(currency: str, least: int) -> None:
    check_transfer(least, currency)
    with pytest.raises(Invalid):
        check_transfer(least - 1, currency)


@pytest.mark.parametrize(("currency", "least"), [("USD", 5000), ("JPY", 50), ("KWD", 50_000)])
def test_terms_that_nobody_set_are_fifty_units_and_somebody_is_asked(currency: str, least: int) -> None:
    terms = default_policy("bank", currency, hold_days=3)
    assert (terms.minimum, terms.auto_up_to, terms.hold_days) == (least, 0, 3)
    assert asked(least, terms).state == "requested"


def test_withdrawal_is_approved_at_once_up_to_the_ceiling_and_due_after_its_days() -> None:
    with pytest.raises(Invalid):
        asked(4999)
    low, high = asked(10_000), asked(10_001)
    assert (low.state, low.decided_at, low.due_at) == ("approved", NOW, NOW + timedelta(days=3))
    assert (high.state, high.decided_at) == ("requested", None)


def test_ceiling_holds_for_all_of_a_day_together() -> None:
    order = WithdrawalOrder(amount=6000, currency="USD", rail="bank")
    states = [decide("wdr_1", order, TERMS, seller="slr_1", now=NOW, taken=taken).state for taken in (4000, 4001)]
    assert states == ["approved", "requested"]


def test_withdrawal_makes_the_legal_moves_alone() -> None:
    for state, targets in MOVES.items():
        one = msgspec.structs.replace(asked(6000), state=state)
        for target in MOVES:
            if target in targets:
                assert moved(one, target, now=one.due_at).state == target
            else:
                with pytest.raises(Conflict):
                    moved(one, target, now=one.due_at)
    with pytest.raises(Conflict, match="days"):
        moved(asked(6000), "paid", now=NOW + timedelta(days=3) - timedelta(seconds=1))


@given(st.integers(5000, 10**12), st.integers(0, 10**12))
def test_whatever_becomes_of_a_withdrawal_its_legs_add_up(amount: int, owed: int) -> None:
    one = asked(amount)
    for legs in (leaving(one), returning(one, owed), arriving(one), bouncing(one)):
        assert sum(leg.amount for leg in legs) == 0
    moved_on = {leg.account: leg.amount for leg in arriving(one)}
    assert {leg.account: -leg.amount for leg in bouncing(one)} == moved_on
    back = {leg.account: leg.amount for leg in returning(one, owed)}
    assert back.get("receivable:slr_1", 0) == min(owed, amount)
    assert back["earnings:slr_1"] == amount - min(owed, amount)


@given(st.integers(0, 2**63 - 1))
def test_cursor_reads_back(id: int) -> None:
    assert decode_cursor(encode_cursor(id)) == id


@pytest.mark.parametrize("wrong", ["x", "AAAA", "A" * 12, "__________8", "é", "\x00", "AAAAAAAAAAA\n"])
def test_cursor_that_no_page_gave_is_refused(wrong: str) -> None:
    with pytest.raises(Invalid):
        decode_cursor(wrong)


@given(st.integers(-(10**12), 10**12), st.sampled_from(sorted(PER_DOLLAR)))
def test_amount_in_its_own_currency_stays_as_it_is(amount: int, currency: str) -> None:
    assert shown(Money(amount, currency), currency) == Money(amount, currency)


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.sampled_from(sorted(PER_DOLLAR)))
def test_more_is_never_shown_as_less_and_what_is_paid_as_its_mirror(one: int, other: int, currency: str) -> None:
    low, high = (shown(Money(amount, "USD"), currency) for amount in sorted((one, other)))
    mirrored = shown(Money(-one, "USD"), currency)
    assert low and high and mirrored and low.amount_minor <= high.amount_minor
    assert -mirrored.amount_minor == shown(Money(one, "USD"), currency).amount_minor  # type: ignore[union-attr]


def test_dollar_is_seventeen_thousand_rupiah_and_tokens_have_no_rate() -> None:
    assert shown(Money(100, "USD"), "IDR") == Money(1_700_000, "IDR")
    assert shown(Money(100, "JPY"), "USD") == Money(67, "USD")
    assert shown(Money(5, "BONUS"), "USD") is None and shown(Money(5, "USD"), "BONUS") is None


def balance(account: str, amount: int, **about: Any) -> Balance:
    return Balance(**{"id": 1, "account": account, "asset": "USD", "balance": amount, "held": 0, **about})


def test_large_balance_is_told_as_text_and_what_is_held_is_not_free() -> None:
    pocket = wallet_of([balance("wallet:usr_1", 2**60, held=1)], "EUR").pockets[0]
    assert (pocket.balance, pocket.free) == (str(2**60), str(2**60 - 1))
    assert pocket.shown is not None and pocket.shown.currency == "EUR"
    assert told(100, "USD", "USD") is None


def test_wallet_says_what_is_owed_in_each_currency() -> None:
    usd, eur, chf = balance("wallet:usr_1", 5), balance("receivable:usr_1", -7, asset="EUR"), {"asset": "CHF"}
    found = wallet_of([usd, balance("receivable:usr_1", 0), eur, balance("receivable:usr_1", 0, **chf)], "USD").pockets
    assert [(one.currency, one.balance, one.owed) for one in found] == [("EUR", 0, 7), ("USD", 5, 0)]


def test_earnings_are_one_line_a_currency() -> None:
    lines = earnings_of(
        [
            balance("earnings:slr_1", 7),
            balance("earnings_pending:slr_1", 5),
            balance("receivable:slr_1", -3, asset="EUR"),
            balance("payout_in_transit:slr_1", 2),
        ],
        "USD",
    ).items
    told_of = [(one.currency, one.pending, one.available, one.in_transit, one.owed) for one in lines]
    assert told_of == [("EUR", 0, 0, 0, 3), ("USD", 5, 7, 2, 0)]
