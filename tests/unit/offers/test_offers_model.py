"""Offers as values: which of them a viewer meets, what they cost with a coupon, and what is left of a price by card."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.coupons.model import Coupon, NewCoupon, check_new, fold
from gateway.control.offers.model import Offer, by_card, check_shape, met, price, replaced_by, shelf_price
from shared.clock import ManualClock
from shared.errors import Invalid, UsherError
from shared.money import Money

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SALE: dict[str, Any] = {"starts_at": NOW - HOUR, "ends_at": NOW + HOUR}
CLOCK = ManualClock(NOW)


def offer(id: str, amount: int = 499, **about: Any) -> Offer:
    about = {"kind": "own", "currency": "USD", "created_at": NOW, **about}
    return Offer(id=id, scope="ttl_1", seller="slr_1", amount=amount, **about)


def coupon(**about: Any) -> Coupon:
    about = {"kind": "percent", "bp": 2500, **about}
    return Coupon(id="cpn_1", seller="slr_1", code="SPRING", created_at=NOW, **about)


def test_offer_is_open_within_its_window_alone() -> None:
    one = offer("a", **SALE)
    assert [one.is_open(NOW + delay) for delay in (-2 * HOUR, -HOUR, timedelta(), HOUR)] == [False, True, True, False]
    assert not offer("a", active=False).is_open(NOW)


def test_viewer_meets_the_cheapest_of_those_for_the_same_thing() -> None:
    own, sale, rent = offer("own", 999), offer("sale", 499, **SALE), offer("rent", 299, kind="rent", hours=24)
    longer, euro = offer("longer", 399, kind="rent", hours=72), offer("euro", 899, currency="EUR")
    found = met([own, rent, sale, longer, euro], NOW)
    assert [one.id for one in found] == ["rent", "longer", "sale", "euro"]
    assert [one.id for one in met([own, sale], NOW + HOUR)] == ["own"]
    younger = offer("b", created_at=NOW + HOUR)
    assert [one.id for one in met([younger, offer("c")], NOW)] == ["c"]


def test_buyer_of_a_dearer_offer_is_led_to_the_one_that_took_its_place() -> None:
    own, sale, rent = offer("own", 999), offer("sale", 499, **SALE), offer("rent", 299, kind="rent", hours=24)
    assert replaced_by(own, [own, sale, rent], NOW) is sale
    assert replaced_by(sale, [own, sale], NOW + HOUR) is own
    assert replaced_by(rent, [own, sale], NOW) is None


@pytest.mark.parametrize(
    ("offers", "shown"),
    [
        ([], None),
        ([offer("a", 999)], 999),
        ([offer("a", 999), offer("b", 299, kind="rent", hours=24)], 999),
        ([offer("b", 399, kind="rent", hours=72), offer("c", 299, kind="rent", hours=24)], 299),
        ([offer("a", 999), offer("s", 99, **SALE)], 999),
        ([offer("s", 99, starts_at=NOW - 2 * HOUR, ends_at=NOW - HOUR)], None),
        ([offer("s", 99, starts_at=NOW + HOUR), offer("b", 299, ends_at=NOW + HOUR)], 299),
        ([offer("s", 99, starts_at=NOW + HOUR), offer("b", 299, starts_at=NOW + 2 * HOUR)], 99),
        ([offer("e", 899, currency="EUR"), offer("a", 999)], 999),
        ([offer("a", 999), offer("f", 0, kind="free")], 0),
        ([offer("a", 999), offer("f", 0, kind="free", **SALE)], 999),
    ],
)
def test_title_shows_the_price_to_own_it_for_good_or_the_cheapest(offers: list[Offer], shown: int | None) -> None:
    assert shelf_price(offers, NOW, currency="USD") == (None if shown is None else Money(shown, "USD"))


@pytest.mark.parametrize(
    ("kind", "amount", "hours", "window"),
    [
        ("rent", 499, None, (None, None)),
        ("own", 499, 24, (None, None)),
        ("free", 1, None, (None, None)),
        ("view", 0, None, (None, None)),
        ("own", 499, None, (NOW, NOW)),
    ],
)
def test_offer_that_says_two_things_is_refused(kind: Any, amount: int, hours: int | None, window: Any) -> None:
    with pytest.raises(Invalid) as refused:
        check_shape(kind, amount, hours=hours, window=window)
    assert "_at" not in str(refused.value)


@given(amount=st.integers(1, 10**12), bp=st.integers(1, 10_000), off=st.integers(1, 10**12))
def test_coupon_never_takes_more_than_the_price_nor_a_fraction(amount: int, bp: int, off: int) -> None:
    for one in (coupon(bp=bp), coupon(kind="amount", bp=None, amount=off, currency="USD")):
        found = price(offer("a", amount), one, CLOCK)
        assert found.amount + found.discount == found.full == amount and 0 <= found.discount <= amount
        assert found.coupon == "cpn_1"
    assert price(offer("a", amount), coupon(bp=bp), CLOCK).discount == amount * bp // 10_000
    assert price(offer("a", amount), None, CLOCK).amount == amount


@pytest.mark.parametrize(
    ("about", "code"),
    [
        ({"active": False}, "coupon-over"),
        ({"ends_at": NOW}, "coupon-over"),
        ({"starts_at": NOW + HOUR}, "coupon-early"),
        ({"scope": "ttl_2"}, "coupon-unknown"),
        ({"kind": "amount", "bp": None, "amount": 100, "currency": "EUR"}, "coupon-currency"),
    ],
)
def test_coupon_that_is_not_for_this_is_refused_with_words(about: dict[str, Any], code: str) -> None:
    with pytest.raises(UsherError) as refused:
        price(offer("a"), coupon(**about), CLOCK)
    assert refused.value.code == code and str(refused.value)


def test_coupon_of_another_seller_takes_nothing_off() -> None:
    with pytest.raises(UsherError, match="no such coupon"):
        price(Offer(id="a", scope="t", seller="slr_2", kind="own", amount=1, currency="USD", created_at=NOW), coupon(),
              CLOCK)  # fmt: skip


@pytest.mark.parametrize(
    "about",
    [{}, {"percent": 10, "amount": 5, "currency": "USD"}, {"amount": 5}, {"percent": 5, "currency": "USD"},
     {"percent": 5, "starts_at": NOW, "ends_at": NOW}],
)  # fmt: skip
def test_coupon_that_says_nothing_or_two_things_is_refused(about: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        check_new(NewCoupon(code="SPRING", **about))
    assert "_at" not in str(refused.value)


def test_code_is_the_same_however_it_is_typed() -> None:
    assert fold(" spring-25 ") == fold("SPRING-25")


@given(amount=st.integers(1, 10**9), fee_bp=st.integers(0, 10_000), provider_fee=st.integers(0, 10**9))
def test_card_price_adds_up(amount: int, fee_bp: int, provider_fee: int) -> None:
    found = by_card(amount, "USD", fee_bp=fee_bp, provider_fee=provider_fee)
    assert found.platform_fee + found.seller_share == amount == found.net + found.provider_fee
    assert bool(found.warning) == (found.net < 0 or found.platform_fee < found.provider_fee)


def test_price_that_costs_more_than_it_brings_is_warned_of_in_words() -> None:
    found = by_card(20, "USD", fee_bp=1000, provider_fee=31)
    assert (found.provider_fee, found.net) == (31, -11)
    assert "0.20 USD" in found.warning and "loses 0.11 USD" in found.warning
    assert by_card(1000, "USD", fee_bp=1000, provider_fee=59).warning == ""
    assert by_card(0, "USD", fee_bp=1000, provider_fee=30).warning == ""
