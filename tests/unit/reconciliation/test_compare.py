"""How what is booked of a payment differs from its provider's word, and when a night's run is due."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from gateway.control.payments.providers.base import Charge, Listed, PaidOut
from gateway.control.reconciliation.model import (
    WORDS,
    Booked,
    Difference,
    Drawn,
    Kind,
    compare,
    compare_payout,
    counts,
    night,
)

#: A sale of 5.00 of which the provider kept 0.45.
SALE = Booked(
    purchase="pur_1", provider_ref="ref_1", amount=500, currency="USD", charged=500, refunded=0, disputed=0, fee=45,
    fee_currency="USD", passed_on=0, asked=0, stuck=0, reversing=0, refunds=0,
    given_back=False,
)  # fmt: skip


def booked(**others: Any) -> Booked:
    return Booked(**{name: others.get(name, getattr(SALE, name)) for name in Booked.__struct_fields__})


def listed(passed_on: int = 0, **others: Any) -> Listed:
    values = {
        "provider_ref": "ref_1", "order": "pur_1", "state": "paid", "amount": 500, "currency": "USD", "fee": 45,
        "fee_currency": "USD", **others,
    }  # fmt: skip
    return Listed(charge=Charge(**values), passed_on=passed_on)


#: What is booked, what the provider says, and what differs: kind, ours, theirs.
CASES: list[tuple[Listed | None, Booked | None, list[tuple[str, int, int]]]] = [
    (listed(), SALE, []),
    (None, None, []),
    (listed(), None, [("charged-not-booked", 0, 500)]),
    (listed(), booked(charged=0, fee=0), [("charged-not-booked", 0, 500)]),
    (listed(state="open", fee=0), booked(charged=0, fee=0), []),
    (listed(state="voided", fee=0), None, []),
    (None, SALE, [("booked-not-charged", 500, 0)]),
    (None, booked(charged=0), []),
    (listed(state="voided", fee=0), SALE, [("booked-not-charged", 500, 0)]),
    (listed(amount=501), SALE, [("amount", 500, 501)]),
    (listed(currency="EUR"), SALE, [("amount", 500, 500)]),
    (listed(fee=46), SALE, [("fee", 45, 46)]),
    (listed(fee_currency="EUR"), SALE, [("fee", 45, 45)]),
    (listed(fee=0, fee_currency="EUR"), booked(fee=0, fee_currency=None), []),
    (listed(passed_on=450), booked(passed_on=450), []),
    (listed(passed_on=450), booked(passed_on=440), [("passed-on", 440, 450)]),
    (listed(passed_on=450, reversed=180, refunded=200), booked(passed_on=270, refunded=200, refunds=1), []),
    (listed(passed_on=450, reversed=181, refunded=200), booked(passed_on=270, refunded=200, refunds=1), []),
    (
        listed(passed_on=450, reversed=178, refunded=200),
        booked(passed_on=270, refunded=200, refunds=1),
        [("passed-on", 270, 272)],
    ),
    (listed(passed_on=450, disputed=500), booked(disputed=500), [("passed-on", 0, 450)]),
    (listed(passed_on=450, disputed=500), booked(disputed=500, reversing=450), []),
    (listed(passed_on=450, reversed=450), booked(passed_on=450), [("passed-on", 450, 0)]),
    (listed(passed_on=450), booked(passed_on=270, asked=200), []),
    (listed(refunded=200), booked(refunded=200), []),
    (listed(refunded=200), SALE, [("refund-not-booked", 0, 200)]),
    (listed(refunded=200), booked(asked=200), []),
    (listed(refunded=300), booked(asked=200), [("refund-not-booked", 0, 300)]),
    (listed(), booked(asked=200), []),
    (listed(), booked(refunded=200), [("refund-not-made", 200, 0)]),
    (listed(), booked(stuck=200), [("refund-not-made", 200, 0)]),
    (listed(refunded=200), booked(stuck=200), [("refund-not-booked", 0, 200)]),
    (listed(disputed=500), booked(disputed=500), []),
    (listed(disputed=500), SALE, [("dispute", 0, 500)]),
    (listed(), booked(disputed=500), [("dispute", 500, 0)]),
    # Money that came and was not wanted: whatever was taken back before it was booked counts for nothing.
    (listed(refunded=100), booked(given_back=True, charged=400), []),
    (listed(refunded=500), booked(given_back=True, asked=500), []),
    (listed(refunded=500), booked(given_back=True, refunded=500), []),
    (listed(), booked(given_back=True, refunded=500), [("amount", 0, 500)]),
    (listed(), booked(given_back=True, stuck=500), [("refund-not-made", 0, 500)]),
]


@pytest.mark.parametrize(("theirs", "ours", "wanted"), CASES)
def test_differences_of_a_payment(
    theirs: Listed | None, ours: Booked | None, wanted: list[tuple[str, int, int]]
) -> None:
    found = compare("stripe", theirs, ours)
    assert [(one.kind, one.ours, one.theirs) for one in found] == wanted
    assert all((one.rail, one.ref, one.purchase) == ("stripe", "ref_1", "pur_1") for one in found)


def test_all_that_differs_of_a_payment_is_told() -> None:
    found = compare("stripe", listed(amount=900, fee=80, refunded=5, disputed=6), SALE)
    assert [one.kind for one in found] == ["amount", "refund-not-booked", "dispute", "fee"]
    found = compare("stripe", listed(amount=900, fee=80, passed_on=7), SALE)
    assert [one.kind for one in found] == ["amount", "passed-on", "fee"]


@pytest.mark.parametrize(
    ("drawn", "paid", "wanted"),
    [
        (True, 5000, []),
        (True, None, ["payout-not-made"]),
        (True, 0, ["payout-not-made"]),
        (True, 4000, ["payout-not-made"]),
        (True, 6000, ["payout-not-booked"]),
        (False, 5000, ["payout-not-booked"]),
        (False, None, []),
        (None, 5000, ["payout-not-booked"]),
    ],
)
def test_differences_of_a_payout(drawn: bool | None, paid: int | None, wanted: list[str]) -> None:
    ours = None if drawn is None else Drawn(id="wdr_1", amount=5000, currency="USD", paid=drawn)
    theirs = None if paid is None else PaidOut(id="wdr_1", rail_ref="tr_1", amount=paid, currency="USD")
    found = compare_payout("stripe", ours, theirs)
    assert [one.kind for one in found] == wanted
    assert all((one.purchase, one.currency) == ("wdr_1", "USD") for one in found)


def test_every_kind_says_what_to_do() -> None:
    assert set(get_args(Kind)) == set(WORDS)
    assert all(words.endswith(".") for words in WORDS.values())
    found = [Difference(kind="fee"), Difference(kind="amount"), Difference(kind="fee")]
    assert counts(found) == {"amount": 1, "fee": 2}


def test_night_is_due_from_its_hour_on_and_covers_whole_days() -> None:
    assert night(datetime(2026, 11, 22, 2, 59, 59, tzinfo=UTC)) is None
    for hour in (3, 23):
        assert night(datetime(2026, 11, 22, hour, 5, tzinfo=UTC)) == (
            "2026-11-22", datetime(2026, 11, 19, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC),
        )  # fmt: skip
