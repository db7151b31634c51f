"""Identifiers: random internal ids, pseudonyms, session ids, and the short ids people type."""

from __future__ import annotations

import re
import secrets

#: 31 symbols with none that a person mistakes for another (no 0 1 i l o).
SHORT_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
SHORT_MIN, SHORT_MAX = 4, 8

_ID = re.compile(r"[a-z]{2,4}_[0-9a-f]{32}\Z")
_CHOSEN = re.compile(r"[a-z0-9]{4,8}\Z")
_FOLD = str.maketrans({"0": "o", "1": "l", "i": "l"})


def new_id(kind: str) -> str:
    """A random internal id such as `ttl_3f…` (128 bits). `kind` is 2-4 lower-case letters."""
    return f"{kind}_{secrets.token_hex(16)}"


def is_id(text: str, kind: str | None = None) -> bool:
    """Whether `text` has the form `new_id` makes (of `kind`, when given)."""
    return bool(_ID.match(text)) and (kind is None or text.startswith(kind + "_"))


def new_session_id() -> str:
    """A playback session id: 128 random bits, URL-safe."""
    return secrets.token_urlsafe(16)


def new_secret(size_bytes: int = 32) -> str:
    """A URL-safe random secret of `size_bytes` of entropy."""
    return secrets.token_urlsafe(size_bytes)


def draw_short_id(length: int) -> str:
    """One random short id of `length` symbols; the caller checks that it is free."""
    return "".join(secrets.choice(SHORT_ALPHABET) for _ in range(length))


def fold_short_id(text: str) -> str:
    """The form on which short ids are unique: lower case, 0 as o, 1 and i as l."""
    return text.lower().translate(_FOLD)


def is_chosen_short_id(text: str) -> bool:
    """Whether a person may choose `text` as a short id: 4-8 of a-z and 0-9."""
    return bool(_CHOSEN.match(text))
