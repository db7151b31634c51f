"""JSON whose objects name each member once: of two with one name, one reader takes the first and another the last."""

from __future__ import annotations

import json
from typing import Any


def check(data: bytes) -> None:
    """Raise ValueError where an object of this JSON names a member twice (RFC 7515, 4; RFC 7519, 4)."""
    json.loads(data, object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, Any]]) -> None:
    names = {name for name, _ in pairs}
    if len(names) < len(pairs):
        raise ValueError("a name stands twice in one object")
