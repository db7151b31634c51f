"""Which provider serves whom, what a price leaves, and how both are set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.payments.providers.base import Quote, Rail, Tariff, parse_rails, parse_tariff, route
from shared.errors import Invalid, Misconfigured

RAILS = parse_rails("stripe@inc:US,CA/USD stripe@bv/EUR,GBP sandbox:ID", legal_entity="usher", descriptor="USHER")


@pytest.mark.parametrize(
    ("country", "currency", "entity"),
    [("US", "USD", "inc"), ("CA", "USD", "inc"), ("DE", "EUR", "bv"), ("US", "EUR", "bv"), ("", "GBP", "bv"),
     ("ID", "USD", "usher"), ("ID", "EUR", "bv")],
)  # fmt: skip
def test_first_rail_that_serves_a_payer_is_taken(country: str, currency: str, entity: str) -> None:
    assert route(country, currency, RAILS).legal_entity == entity


@pytest.mark.parametrize(("country", "currency"), [("US", "JPY"), ("MX", "USD"), ("", "USD"), ("us", "USD")])
def test_payer_whom_no_rail_serves_is_refused(country: str, currency: str) -> None:
    with pytest.raises(Invalid) as refused:
        route(country, currency, RAILS)
    assert refused.value.code == "no-provider"


def test_rail_without_places_serves_everybody() -> None:
    (rail,) = parse_rails("sandbox", legal_entity="usher", descriptor="")
    assert rail == Rail(provider="sandbox", legal_entity="usher", descriptor="")
    assert route("", "IDR", [rail]) is route("US", "USD", [rail]) is rail


@pytest.mark.parametrize(
    "text", ["", " ", "Stripe", "stripe:usa", "stripe/usd", "stripe@", "stripe:US,", "a;b", "x\ny!"]
)
def test_wrong_list_of_providers_stops_the_start(text: str) -> None:
    with pytest.raises(Misconfigured):
        parse_rails(text, legal_entity="usher", descriptor="")


def test_price_list_is_read_and_rounds_fees_up() -> None:
    tariff = parse_tariff("290 USD:30 EUR:25")
    assert tariff == Tariff(290, {"USD": 30, "EUR": 25})
    assert tariff.quote(1250, "USD") == Quote(1250, 67, "USD")
    assert [tariff.quote(amount, "USD").net for amount in (30, 31, 32, 100)] == [-1, 0, 1, 67]
    assert tariff.quote(1, "JPY").fee == 1
    assert parse_tariff("0").quote(5, "USD").net == 5


@pytest.mark.parametrize("text", ["", "x", "2.9", "290 USD", "290 usd:30", "290  USD:30", "-1", "290 USD:30\n"])
def test_wrong_price_list_stops_the_start(text: str) -> None:
    with pytest.raises(Misconfigured):
        parse_tariff(text)


@given(st.integers(0, 10**30), st.integers(0, 10_000), st.integers(0, 1000))
def test_quote_is_the_fee_rounded_up_by_less_than_one_unit(amount: int, bp: int, fixed: int) -> None:
    quote = Tariff(bp, {"USD": fixed}).quote(amount, "USD")
    assert 0 <= 10_000 * (quote.fee - fixed) - amount * bp < 10_000
    assert quote.net + quote.fee == amount
