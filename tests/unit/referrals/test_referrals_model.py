"""The platform's fee of a sale, and the part of it that goes to whose code brought the buyer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.control.ledger.model import Leg
from gateway.control.referrals.model import legs


@given(fee=st.integers(0, 10**12), bp=st.integers(0, 10_000))
def test_referrer_is_paid_of_the_platforms_share_alone(fee: int, bp: int) -> None:
    found = legs(fee, "usr_2", currency="USD", bp=bp)
    assert sum(leg.amount for leg in found) == fee and all(leg.amount > 0 for leg in found)
    credit = sum(leg.amount for leg in found if leg.account == "wallet:usr_2")
    assert credit == fee * bp // 10_000


def test_fee_stays_with_the_platform_when_nobody_brought_the_buyer() -> None:
    assert legs(50, None, currency="USD", bp=2000) == [Leg("platform_fee", "USD", 50)]
    assert legs(50, "usr_2", currency="USD", bp=2000) == [
        Leg("platform_fee", "USD", 40),
        Leg("wallet:usr_2", "USD", 10),
    ]
