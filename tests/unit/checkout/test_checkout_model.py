"""A purchase's states: the legal moves, and that what a provider says ends in the same books in whatever order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.checkout.model import (
    MOVES,
    CheckoutOrder,
    Purchase,
    Step,
    check_again,
    follow,
    given_back,
    move,
    standing,
    view,
)
from gateway.control.entitlements.model import Right
from gateway.control.payments.providers.base import Charge
from shared.errors import Conflict

NOW = datetime(2026, 11, 1, tzinfo=UTC)
NEW = Purchase(
    id="pur_1", key="k", kind="title", principal="usr_1", viewer="usr_1", scope="ttl_1", title="ttl_1", seller="slr_1",
    offer="off_1", offer_version=1, amount=500, currency="USD", rail="sandbox", provider_ref="ref",
    legal_entity="Usher", fee_bp=1000, created_at=NOW, expires_at=NOW,
)  # fmt: skip


def charge(state: Any = "paid", **about: Any) -> Charge:
    return Charge(**{"provider_ref": "ref", "order": "pur_1", "amount": 500, "currency": "USD", **about}, state=state)


def apply(purchase: Purchase, step: Step, amount: int = 500) -> Purchase:
    """The purchase after its books were made, as the action keeps it."""
    return msgspec.structs.replace(
        purchase,
        state=step.state,
        paid_at=NOW if step.sale or step.give_back else purchase.paid_at,
        rail_fee=purchase.rail_fee + step.rail_fee,
        refunded=amount if step.give_back else purchase.refunded + step.refund,
        disputed=purchase.disputed + step.dispute,
    )


def test_paid_charge_is_a_sale_once() -> None:
    step = follow(NEW, charge(fee=45), wanted=True)
    assert step == Step(state="paid", sale=True, rail_fee=45)
    again = follow(apply(NEW, step), charge(fee=45), wanted=False)
    assert again.is_nothing and again.state == "paid"


def test_what_the_rail_keeps_may_grow_and_shrink_and_is_not_forgotten_while_it_is_unknown() -> None:
    paid = apply(NEW, follow(NEW, charge(fee=45), wanted=True))
    disputed = apply(paid, follow(paid, charge(fee=1545, disputed=500), wanted=False))
    assert disputed.rail_fee == 1545
    assert follow(disputed, charge(disputed=500), wanted=False).is_nothing
    won = follow(disputed, charge(fee=45), wanted=False)
    assert (won.rail_fee, won.dispute, won.state) == (-1500, -500, "paid")


@pytest.mark.parametrize(
    "wrong", [{"amount": 499}, {"amount": 501}, {"currency": "EUR"}, {"order": "pur_2"}], ids=lambda w: next(iter(w))
)
def test_money_that_is_not_what_was_asked_is_given_back(wrong: dict[str, Any]) -> None:
    step = follow(NEW, charge(**wrong), wanted=True)
    assert step.give_back and not step.sale and step.state == "refunded"


def test_money_for_what_the_viewer_has_already_is_given_back() -> None:
    step = follow(NEW, charge(), wanted=False)
    assert (step.give_back, step.sale, step.state) == (True, False, "refunded")
    assert follow(apply(NEW, step), charge(refunded=500), wanted=False).is_nothing


@pytest.mark.parametrize(
    ("said", "state"), [("declined", "failed"), ("voided", "expired"), ("authorized", "authorized")]
)
def test_what_is_not_paid_moves_an_open_purchase_alone(said: Any, state: str) -> None:
    assert follow(NEW, charge(said, words="no"), wanted=True).state == state
    paid = apply(NEW, follow(NEW, charge(), wanted=True))
    assert follow(paid, charge(said), wanted=True).state == "paid"
    assert follow(NEW, charge("open"), wanted=True).state == "new"


@pytest.mark.parametrize("before", ["failed", "expired"])
def test_what_is_paid_late_counts(before: Any) -> None:
    late = follow(msgspec.structs.replace(NEW, state=before), charge(), wanted=True)
    assert late.sale and late.state == "paid"


def test_refund_and_dispute_made_elsewhere_are_booked_once_and_a_dispute_that_is_won_comes_back() -> None:
    paid = apply(NEW, follow(NEW, charge(), wanted=True))
    refunded = follow(paid, charge(refunded=200), wanted=False)
    assert (refunded.state, refunded.refund) == ("paid", 200)
    paid = apply(paid, refunded)
    disputed = follow(paid, charge(refunded=200, disputed=300), wanted=False)
    assert (disputed.state, disputed.refund, disputed.dispute) == ("disputed", 0, 300)
    paid = apply(paid, disputed)
    won = follow(paid, charge(refunded=200), wanted=False)
    assert (won.state, won.dispute) == ("paid", -300)


def test_our_own_refund_that_the_provider_tells_of_is_not_booked_again() -> None:
    asked = msgspec.structs.replace(apply(NEW, follow(NEW, charge(), wanted=True)), refunded=500, state="refunded")
    assert follow(asked, charge(refunded=0), wanted=False).is_nothing
    assert follow(asked, charge(refunded=500), wanted=False).is_nothing


#: What one payment looked like at a provider, from its start to its end.
STORY = [
    charge("open"),
    charge("authorized"),
    charge(),
    charge(fee=45),
    charge(fee=45, refunded=100),
    charge(fee=45, refunded=100, disputed=400),
    charge(fee=45, refunded=100),
]


@given(st.lists(st.integers(0, len(STORY) - 1), max_size=12))
def test_any_order_of_events_ends_in_the_same_books(heard: list[int]) -> None:
    # An event is a hint to look: whichever comes, what is seen is at least as late as what was seen before.
    seen, purchase, booked = 0, NEW, {"sale": 0, "fee": 0, "refund": 0, "dispute": 0}
    for event in [*heard, len(STORY) - 1, len(STORY) - 1]:
        seen = max(seen, event)
        step = follow(purchase, STORY[seen], wanted=True)
        purchase = apply(purchase, step)
        booked["sale"] += step.sale
        booked["fee"] += step.rail_fee
        booked["refund"] += step.refund
        booked["dispute"] += step.dispute
    assert booked == {"sale": 1, "fee": 45, "refund": 100, "dispute": 0}
    assert purchase.state == "paid"


def test_refunded_is_an_end_and_no_move_leads_back_to_new() -> None:
    assert all("new" not in targets for targets in MOVES.values())
    assert "paid" not in MOVES["refunded"]
    with pytest.raises(Conflict, match="cannot become"):
        move(msgspec.structs.replace(NEW, state="refunded"), "paid")


def test_standing_after_what_was_taken() -> None:
    assert standing(500, refunded=0, disputed=0) == "paid"
    assert standing(500, refunded=499, disputed=0) == "paid"
    assert standing(500, refunded=500, disputed=0) == "refunded"
    assert standing(500, refunded=100, disputed=1) == "disputed"
    assert standing(0, refunded=0, disputed=0) == "paid"


def test_what_cost_nothing_is_given_back_once() -> None:
    paid = msgspec.structs.replace(NEW, state="paid", paid_at=NOW)
    free = msgspec.structs.replace(paid, amount=0)
    gone = msgspec.structs.replace(free, state="refunded")
    assert (paid.is_refundable, free.is_refundable, gone.is_refundable) == (True, True, False)
    assert not msgspec.structs.replace(paid, refunded=500).is_refundable
    assert [given_back(paid, 499), given_back(paid, 500), given_back(free, 0)] == ["paid", "refunded", "refunded"]


def test_who_has_less_may_buy_more_and_nobody_the_same_twice() -> None:
    later = NOW + timedelta(days=1)
    rent, view = (
        Right(id=f"ent_{term}", scope="ttl_1", kind="purchase", term=term, span_s=3600, ends_at=later)
        for term in ("rent", "view")
    )
    granted = Right(id="ent_given", scope="ttl_1", kind="grant")
    for rights, sold in (
        ([], ["view", "rent", "own"]),
        ([granted], ["view", "rent", "own"]),
        ([view], ["rent", "own"]),
        ([granted, rent, view], ["own"]),
    ):
        for kind in ("view", "rent", "own"):
            if kind in sold:
                check_again(rights, offer_kind=kind, now=NOW)
                continue
            with pytest.raises(Conflict) as refused:
                check_again(rights, offer_kind=kind, now=NOW)
            assert refused.value.code == "bought-already"
    check_again([rent, view], offer_kind="view", now=later)


def test_where_to_pay_is_told_only_while_it_is_to_be_paid() -> None:
    going = msgspec.structs.replace(NEW, url="https://pay.example/1")
    assert view(going).url and not view(msgspec.structs.replace(going, state="paid", paid_at=NOW)).url


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 0}, {"offer": "x'; drop"}, {"return_path": "//elsewhere.example"}, {"return_path": "https://e.example"},
        {"return_path": "/\\e"}, {"pay": "Stripe!"}, {"country": "us"}, {"amount": 1}, {"gift_to": ""},
    ],
    ids=str,
)  # fmt: skip
def test_order_of_the_wrong_form_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"offer": "off_1", "version": 1} | wrong, CheckoutOrder)
