"""Amounts as integers of an asset's smallest unit; never a float."""

from __future__ import annotations

import re

import msgspec

from shared.errors import Invalid

#: Decimals per currency (ISO 4217) where they differ from 2.
DECIMALS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "BHD": 3, "KWD": 3, "OMR": 3, "TND": 3, "USDC": 6, "BONUS": 0}
_CURRENCY = re.compile(r"[A-Z]{3,5}\Z")
_DECIMAL = re.compile(r"(\d{1,12})(?:\.(\d{1,6}))?\Z")


class Money(msgspec.Struct, frozen=True):
    """An amount: `amount_minor` in the smallest unit of `currency` (USD 4.99 is 499)."""

    amount_minor: int
    currency: str

    def __str__(self) -> str:
        digits = decimals(self.currency)
        if not digits:
            return f"{self.amount_minor} {self.currency}"
        whole, rest = divmod(self.amount_minor, 10**digits)
        return f"{whole}.{rest:0{digits}d} {self.currency}"


def decimals(currency: str) -> int:
    """How many decimals `currency` has. Raises Invalid for what is no currency code."""
    if not _CURRENCY.match(currency):
        raise Invalid(f"{currency!r} is not a currency code; expected three capital letters such as USD.")
    return DECIMALS.get(currency, 2)


def parse(text: str, currency: str) -> Money:
    """`"4.99"` → 499 minor units. Raises Invalid when the text has more decimals than the currency."""
    found = _DECIMAL.match(text.strip())
    digits = decimals(currency)
    if not found or len(found[2] or "") > digits:
        raise Invalid(
            f"{text!r} is not an amount in {currency}; expected for example {'4.99' if digits == 2 else '5'}."
        )
    return Money(int(found[1]) * 10**digits + int((found[2] or "0").ljust(digits, "0")[:digits] or 0), currency)


def fee_minor(amount_minor: int, fee_bp: int) -> int:
    """The platform's fee: floor(amount × basis points / 10000); the rest is the seller's."""
    if amount_minor < 0 or not 0 <= fee_bp <= 10_000:
        raise Invalid("A fee is taken of an amount of at least 0 at 0 to 10000 basis points.")
    return amount_minor * fee_bp // 10_000
