"""Accounts by the names that people type."""

from __future__ import annotations

from typing import Protocol

from gateway.control.accounts.model import fold
from shared.errors import Conflict, NotFound


class Names(Protocol):
    """The names of accounts."""

    async def principal_named(self, folded: str) -> str | None: ...


class Receivers(Names, Protocol):
    """The same, of people who are given something."""

    async def keep(self, principal: str) -> bool | None: ...


async def named(username: str, *, accounts: Names) -> str:
    """Whose name it is, by id. Raises NotFound for one that nobody has."""
    principal = await accounts.principal_named(fold(username))
    if principal is None:
        raise _nobody()
    return principal


async def receiving(username: str, *, accounts: Receivers) -> str:
    """The same for who is to be given something: they stay until the transaction ends.

    Raises NotFound as `named`, and Conflict for who is shut out and could do nothing with it.
    """
    principal = await named(username, accounts=accounts)
    is_disabled = await accounts.keep(principal)
    if is_disabled is None:  # they left just now
        raise _nobody()
    if is_disabled:
        raise Conflict("This account is shut out: nothing can be given to it.", code="account-disabled")
    return principal


def _nobody() -> NotFound:
    return NotFound("There is no such account.")
