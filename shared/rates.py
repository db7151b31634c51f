"""About how much an amount is in another currency, for people to read; nothing is ever booked by it.

The table is fixed and of one day. It is not meant to be right to the cent, it is meant to be the same for everybody.
"""

from __future__ import annotations

from collections.abc import Mapping

from shared.money import Money, decimals

#: The day the table is of (ISO 8601).
RATES_OF = "2026-11-01"
#: Thousandths of a currency that one US dollar is.
PER_DOLLAR: Mapping[str, int] = {
    "USD": 1_000,
    "USDC": 1_000,
    "EUR": 870,
    "GBP": 750,
    "CHF": 800,
    "CAD": 1_390,
    "AUD": 1_530,
    "JPY": 150_000,
    "CNY": 7_100,
    "INR": 88_000,
    "IDR": 17_000_000,
    "SGD": 1_300,
    "MYR": 4_200,
    "PHP": 58_000,
    "THB": 32_500,
    "VND": 26_000_000,
    "KRW": 1_400_000,
    "BRL": 5_400,
    "MXN": 18_500,
    "PLN": 3_700,
    "SEK": 9_500,
    "NOK": 10_100,
    "DKK": 6_500,
    "TRY": 42_000,
    "ZAR": 17_500,
}


def shown(amount: Money, currency: str) -> Money | None:
    """The amount in another currency, to the nearest smallest unit, halves away from zero; None without a rate."""
    if amount.currency not in PER_DOLLAR or currency not in PER_DOLLAR:
        return None
    above = abs(amount.amount_minor) * PER_DOLLAR[currency] * 10 ** decimals(currency)
    below = PER_DOLLAR[amount.currency] * 10 ** decimals(amount.currency)
    found = (2 * above + below) // (2 * below)
    return Money(found if amount.amount_minor >= 0 else -found, currency)
