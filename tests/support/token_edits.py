"""Spellings one edit away from a token: substituted, inserted, deleted, swapped, appended, padded, in another case."""

from __future__ import annotations

import random
from collections.abc import Iterator

#: What may stand in a token, and what must not.
SYMBOLS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" + ".=+/% ~é\x00\n"


def every_edit(token: str) -> Iterator[str]:
    """All of them, each with every symbol at every place; the token itself is not among them."""
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
