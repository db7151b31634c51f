"""Oneself: see, change, take away as data, delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from gateway.control.auth import ADMIN, GLOBAL, Principal, permissions
from gateway.control.db import Begin
from gateway.control.ledger.model import Kind
from gateway.control.ledger.model import account as code_of
from gateway.control.outbox import Outbox
from gateway.control.sellers.model import Alone
from gateway.control.wallet.model import TRANSFER_UNITS, Wallets
from shared.clock import Clock
from shared.errors import Conflict, Forbidden, Unauthenticated
from shared.events import Push
from shared.money import Money, decimals

#: What a seller earned and was not paid: available, to become so, on its way.
EARNED: Sequence[Kind] = ("earnings", "earnings_pending", "payout_in_transit")


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
) -> Account:
    """The account of who is logged in and knows its password. Raises Forbidden, TooMany; counted as logins are."""
    async with begin() as unit:
        account = await _account(by, unit.accounts)
    await attempts.begin(account.principal, address)
    if not await passwords.verify(account.password_hash, password):
        raise _wrong_password()
    await attempts.succeeded(account.principal, address)
    return account


async def needs_password(by: Principal, asked: Changing, *, accounts: AccountRows) -> bool:
    """Whether a change gives the account into other hands: a new password, or an e-mail to which resets go."""
    return _is_delicate(asked, await _account(by, accounts))


async def change(
    by: Principal,
    asked: Changing,
    *,
    proved: Account | None,
    password_hash: str | None,
    accounts: AccountRows,
    outbox: Outbox,
) -> None:
    """Change what was asked; a new password ends all other logins. Raises Conflict for a name or e-mail taken.

    `proved` is what `confirm` gave. Raises Forbidden where the password it looked at is not the account's any more.
    """
    account = await _account(by, accounts, lock=True)
    delicate = _is_delicate(asked, account)
    if delicate:
        _check_proved(account, proved)
    await accounts.change_account(
        Account(
            account.principal,
            _or(asked.email, account.email),
            _or(asked.username, account.username),
            password_hash or account.password_hash,
        )
    )
    if delicate:
        await accounts.end_resets(by.id)  # a link that went to the old mailbox opens nothing
    if password_hash is not None:
        await accounts.end_logins(by.id, but=by.login)
        await outbox.emit("auth.reset", by.id, principal=by.id)
    fields = [name for name in ("username", "email", "password") if getattr(asked, name) is not UNSET]
    await outbox.record(by.id, "account.change", by.id, after={"fields": fields}, place=by.place)


async def export(by: Principal, *, accounts: AccountRows, sellers: Memberships) -> Mapping[str, Any]:
    """Everything stored about a person, for the person."""
    return {**await accounts.person(by.id), "sellers": await sellers.memberships(by.id)}


async def delete(
    by: Principal,
    *,
    proved: Account,
    accounts: AccountRows,
    sellers: Memberships,
    wallet: Wallets,
    outbox: Outbox,
    clock: Clock,
) -> None:
    """Forget who this was; the pseudonym stays. Raises Forbidden as `change` does.

    Raises Conflict for the only owner of a seller that has an audience, money, or some to come, for the last admin (a
    portal without one lets whoever comes next set it up), and for who has money on the wallet.
    """
    _check_proved(await _account(by, accounts, lock=True), proved)
    # Before anything is looked at: who gives them something now is waited for, and whoever comes next finds them gone.
    await accounts.leave(by.id, clock.now())
    if await accounts.holders(ADMIN, GLOBAL, lock=True) == [by.id]:
        raise Conflict("This is the last admin; make somebody else admin first.", code="last-admin")
    await _check_sellers(await sellers.alone_with(by.id), wallet)
    await _check_wallet(by, wallet)
    await outbox.alone(sub=by.sub)  # a link is made before its rows are forgotten, or not at all
    await accounts.anonymise(by.id)
    await outbox.push(Push("sub", by.sub, int(clock.epoch()) + 1, "the account was deleted"))
    await outbox.audit(by.id, "account.delete", by.id, place=by.place)


async def _check_sellers(alone: Sequence[Alone], wallet: Wallets) -> None:
    """Raises Conflict for one whose titles or money nobody would be left to look after, the least of it."""
    _check_each(
        [seller for seller in alone if seller.is_on_sale],
        "has published titles: archive them, or make another member owner",
        code="only-owner",
    )
    _check_each(
        [seller for seller in alone if seller.is_partner],
        "gets a share of others' titles: have their sellers take it out of them, or make another member owner",
        code="only-owner",
    )
    _check_each(
        [seller for seller in alone if seller.is_disputed],
        "gets its part again if an open dispute is won: wait until the bank has decided, or make another member owner",
        code="earnings-disputed",
    )
    for seller in alone:
        held = await wallet.balances([code_of(kind, seller.id) for kind in EARNED])
        if left := [str(Money(one.balance, one.asset)) for one in held if one.balance]:
            raise Conflict(
                f"Nobody else owns {seller.name}, which has {', '.join(left)} to come: take it out first, or make "
                "another member owner.",
                code="earnings-left",
                sellers=[seller.id],
            )


def _check_each(sellers: Sequence[Alone], why: str, *, code: str) -> None:
    if sellers:
        names = ", ".join(seller.name for seller in sellers)
        raise Conflict(f"Nobody else owns {names}, which {why}.", code=code, sellers=[one.id for one in sellers])


async def _check_wallet(by: Principal, wallet: Wallets) -> None:
    """Raises Conflict for one of which something could be given to somebody; less than that stays behind."""
    held = [Money(one.balance, one.asset) for one in await wallet.balances([code_of("wallet", by.id)])]
    left = [str(one) for one in held if one.amount_minor >= TRANSFER_UNITS * 10 ** decimals(one.currency)]
    if left:
        words = ", ".join(left)
        raise Conflict(f"Your wallet holds {words}: spend it, or give it to somebody first.", code="money-left")


def _is_delicate(asked: Changing, account: Account) -> bool:
    return asked.password is not UNSET or _or(asked.email, account.email) != account.email


def _check_proved(account: Account, proved: Account | None) -> None:
    if proved is None or proved.password_hash != account.password_hash:
        raise _wrong_password()


def _wrong_password() -> Forbidden:
    return Forbidden("That is not your password.", code="wrong-password")


async def _account(by: Principal, accounts: AccountRows, *, lock: bool = False) -> Account:
    account = await accounts.account_of(by.id, lock=lock)
    if account is None:
        raise Unauthenticated("Log in first.")
    return account


def _or(asked: str | UnsetType, kept: str) -> str:
    return kept if asked is UNSET else asked
