"""Payout runs as values: the list for the bank, and how long a provider is left alone."""

from __future__ import annotations

import csv
import io

from gateway.control.payouts.model import FIRST_S, LAST_S, Item, to_csv, wait_s


def item(**others: object) -> Item:
    values = {
        "id": "wdr_1", "seller": "slr_1", "handle": "studio", "amount": 5000, "currency": "USD", "state": "paying",
        "reason": "=1+1", "rail_ref": "",
    }  # fmt: skip
    return Item(**{**values, **others})  # type: ignore[arg-type]


def test_list_tells_each_amount_in_its_currency_and_no_free_text() -> None:
    found = to_csv([item(), item(id="wdr_2", amount=7000, currency="JPY"), item(id="wdr_3", amount=5, currency="USD")])
    rows = list(csv.reader(io.StringIO(found.decode())))
    assert rows == [
        ["withdrawal", "seller", "handle", "amount", "currency", "state"],
        ["wdr_1", "slr_1", "studio", "50.00", "USD", "paying"],
        ["wdr_2", "slr_1", "studio", "7000", "JPY", "paying"],
        ["wdr_3", "slr_1", "studio", "0.05", "USD", "paying"],
    ]


def test_provider_is_left_alone_longer_each_time_up_to_hours() -> None:
    assert [wait_s(tries) for tries in (0, 1, 2)] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert wait_s(50) == LAST_S
