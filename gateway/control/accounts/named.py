"""Accounts by the names that people type."""

from __future__ import annotations

from typing import Protocol

from gateway.control.accounts.model import fold
from shared.errors import NotFound


class Names(Protocol):
    """The names of accounts."""

    async def principal_named(self, folded: str) -> str | None: ...


async def named(username: str, *, accounts: Names) -> str:
    """Whose name it is, by id. Raises NotFound for one that nobody has."""
    principal = await accounts.principal_named(fold(username))
    if principal is None:
        raise NotFound("There is no such account.")
    return principal
