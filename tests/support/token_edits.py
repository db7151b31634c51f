"""Spellings of a token: one edit away from it, and the other one that its signature has."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator

#: What may stand in a token, and what must not.
SYMBOLS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" + ".=+/% ~é\x00\n"
#: Order of the group of P-256.
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def signature(token: str) -> tuple[int, int]:
    """r and s of an ES256 token (RFC 7518, 3.4)."""
    raw = base64.urlsafe_b64decode(token.rpartition(".")[2] + "==")
    return int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")


def other_spelling(token: str) -> str:
    """The same token with (r, n - s) for (r, s), which is a signature as well."""
    r, s = signature(token)
    raw = r.to_bytes(32, "big") + (ORDER - s).to_bytes(32, "big")
    return token.rpartition(".")[0] + "." + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def every_edit(token: str) -> Iterator[str]:
    """Substituted, inserted, deleted, swapped, appended, padded, in another case; each with every symbol at every
    place; the token itself is not among them."""
    for place, symbol in enumerate(token):
        before, after = token[:place], token[place + 1 :]
        yield from (before + other + after for other in SYMBOLS if other != symbol)
        yield from (before + other + symbol + after for other in SYMBOLS)
        yield before + after
        if after and after[0] != symbol:
            yield before + after[0] + symbol + after[1:]
        yield f"{before}%{ord(symbol):02X}{after}"
    yield from (token + other for other in SYMBOLS)
    yield from (token.upper(), token.lower(), token.swapcase(), token * 2, f"{token}==", f"{token}.{token}")
    for dot in (place for place, symbol in enumerate(token) if symbol == "."):
        yield token[:dot] + "=" + token[dot:]
        yield token[:dot] + "==" + token[dot:]


def some_edits(token: str, count: int, *, seed: int) -> list[str]:
    """`count` different ones, drawn from all."""
    return random.Random(seed).sample(sorted(set(every_edit(token)) - {token}), count)
