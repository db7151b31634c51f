"""Port numbers for servers of a test, outside the range the system hands out by itself."""

from __future__ import annotations

import secrets

from infra.stack.probe import is_free

LOWEST, HIGHEST = 22000, 31000


def free_base(span: int = 20) -> int:
    """The first of `span` ports in a row that nobody listens on."""
    while True:
        base = LOWEST + span * secrets.randbelow((HIGHEST - LOWEST) // span)
        if all(is_free(base + offset) for offset in range(span)):
            return base


def free_port() -> int:
    """One port that nobody listens on."""
    return free_base(1)
