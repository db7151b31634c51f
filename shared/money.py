"""Amounts as integers of an asset's smallest unit; never a float."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from shared.errors import Invalid

#: The largest integer that a JSON reader with floating point numbers keeps (RFC 8259, 6).
JSON_INTEGER = 2**53 - 1
#: Decimals per currency (ISO 4217) where they differ from 2.
DECIMALS = {
    "JPY": 0,
    "KRW": 0,
    "VND": 0,
    "CLP": 0,
    "BHD": 3,
    "KWD": 3,
    "OMR": 3,
    "TND": 3,
    "BIF": 0,
    "DJF": 0,
    "GNF": 0,
    "KMF": 0,
    "MGA": 0,
    "PYG": 0,
    "RWF": 0,
    "VUV": 0,
    "XAF": 0,
    "XOF": 0,
    "XPF": 0,
    "IQD": 3,
    "JOD": 3,
    "LYD": 3,
    "USDC": 6,
    "BONUS": 0,
    "PAID": 0,
}
_CURRENCY = re.compile(r"[A-Z]{3,5}\Z")
_DECIMAL = re.compile(r"(\d{1,12})(?:\.(\d{1,6}))?\Z")


class Money(msgspec.Struct, frozen=True):
    """An amount: `amount_minor` in the smallest unit of `currency` (USD 4.99 is 499)."""

    amount_minor: int
    currency: str

    def __str__(self) -> str:
        digits = decimals(self.currency)
        whole, rest = divmod(abs(self.amount_minor), 10**digits)
        sign, fraction = "-" if self.amount_minor < 0 else "", f".{rest:0{digits}d}" if digits else ""
        return f"{sign}{whole}{fraction} {self.currency}"


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What one gets of an amount: `bp` basis points of the whole, or by `weight` a part of what those leave."""

    to: str
    bp: int = 0
    weight: int = 0


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


def split(amount_minor: int, shares: Sequence[Share]) -> list[int]:
    """What each share gets, in their order; together the whole amount.

    Those by basis points (fee, tax, withholding) are taken of the whole, each rounded down. What is left goes to those
    by weight in proportion: rounded down, then one unit more for the largest remainders, of equal ones for the first.
    Raises Invalid for an amount below zero, for a share with both or neither, for more than 10000 basis points, and
    where something is left and nobody to take it.
    """
    if amount_minor < 0 or any(share.bp < 0 or share.weight < 0 for share in shares):
        raise Invalid("Only amounts and shares of at least 0 can be split.")
    if any(bool(share.bp) == bool(share.weight) for share in shares) or sum(share.bp for share in shares) > 10_000:
        raise Invalid("A share has basis points, of which there are 10000, or a weight.")
    parts = [fee_minor(amount_minor, share.bp) for share in shares]
    left, weights = amount_minor - sum(parts), sum(share.weight for share in shares)
    if left and not weights:
        raise Invalid(f"Of {amount_minor} there are {left} left that no share takes.")
    remainders = []
    for index, share in enumerate(shares):
        if share.weight:
            parts[index], remainder = divmod(left * share.weight, weights)
            remainders.append((-remainder, index))
    for _, index in sorted(remainders)[: amount_minor - sum(parts)]:
        parts[index] += 1
    return parts


def to_json(amount: int) -> int | str:
    """An amount as JSON carries it: an integer, or text where a reader that knows only doubles would lose digits."""
    return amount if abs(amount) <= JSON_INTEGER else str(amount)
