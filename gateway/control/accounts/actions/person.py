"""Oneself: see, change, take away as data, delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, UnsetType

from gateway.control.accounts.model import (
    Account,
    AccountRows,
    Attempts,
    Changing,
    Me,
    Memberships,
    Passwords,
    Stores,
)
from gateway.control.auth import Principal, permissions
from gateway.control.db import Begin
from gateway.control.outbox import Outbox
from shared.clock import Clock
from shared.errors import Conflict, Forbidden, Unauthenticated
from shared.events import Push


async def me(by: Principal, *, accounts: AccountRows, sellers: Memberships) -> Me:
    """Who is logged in, with the sellers it belongs to and what it may do everywhere."""
    account = await _account(by, accounts)
    return Me(
        id=by.id,
        username=account.username,
        email=account.email,
        sellers=await sellers.memberships(by.id),
        permissions=permissions(by),
    )


async def confirm(
    by: Principal, password: str, *, address: str, begin: Begin[Stores], passwords: Passwords, attempts: Attempts
) -> None:
    """That who is logged in knows the password. Raises Forbidden, TooMany; counted as logins are."""
    async with begin() as unit:
        account = await _account(by, unit.accounts)
    await attempts.begin(account.principal, address)
    if not await passwords.verify(account.password_hash, password):
        raise Forbidden("That is not your password.", code="wrong-password")
    await attempts.succeeded(account.principal, address)


async def needs_password(by: Principal, asked: Changing, *, accounts: AccountRows) -> bool:
    """Whether a change gives the account into other hands: a new password, or an e-mail to which resets go."""
    account = await _account(by, accounts)
    return asked.password is not UNSET or _or(asked.email, account.email) != account.email


async def change(
    by: Principal, asked: Changing, *, password_hash: str | None, accounts: AccountRows, outbox: Outbox
) -> None:
    """Change what was asked; a new password ends all other logins. Raises Conflict for a name or e-mail taken."""
    account = await _account(by, accounts)
    await accounts.change_account(
        Account(
            account.principal,
            _or(asked.email, account.email),
            _or(asked.username, account.username),
            password_hash or account.password_hash,
        )
    )
    if password_hash is not None:
        await accounts.end_logins(by.id, but=by.login)
        await outbox.emit("auth.reset", by.id, principal=by.id)


async def export(by: Principal, *, accounts: AccountRows, sellers: Memberships) -> Mapping[str, Any]:
    """Everything stored about a person, for the person."""
    return {**await accounts.person(by.id), "sellers": await sellers.memberships(by.id)}


async def delete(by: Principal, *, accounts: AccountRows, sellers: Memberships, outbox: Outbox, clock: Clock) -> None:
    """Forget who this was; the pseudonym stays. Raises Conflict for the only owner of a seller that has an audience."""
    alone = await sellers.only_owner_with_titles(by.id)
    if alone:
        names = ", ".join(seller.name for seller in alone)
        raise Conflict(
            f"Nobody else owns {names}, which has published titles: archive them, or make another member owner.",
            code="only-owner",
            sellers=[seller.id for seller in alone],
        )
    await accounts.anonymise(by.id, clock.now())
    await outbox.push(Push("sub", by.sub, int(clock.epoch()), "the account was deleted"))
    await outbox.audit(by.id, "account.delete", by.id)


async def _account(by: Principal, accounts: AccountRows) -> Account:
    account = await accounts.account_of(by.id)
    if account is None:
        raise Unauthenticated("Log in first.")
    return account


def _or(asked: str | UnsetType, kept: str) -> str:
    return kept if asked is UNSET else asked
