"""Come in and go out: register, log in, log out, and the guest nobody asked for a name."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.control.accounts.actions.roles import add_account, assign
from gateway.control.accounts.model import (
    Account,
    AccountRows,
    Attempts,
    Browser,
    LoggingIn,
    Opened,
    Passwords,
    Stores,
    fold,
)
from gateway.control.accounts.sessions import Sessions
from gateway.control.auth import Principal
from gateway.control.db import Begin
from gateway.control.outbox import Outbox
from shared.errors import Forbidden, Unauthenticated
from shared.ids import new_id


async def register(
    email: str,
    username: str,
    password_hash: str,
    *,
    browser: Browser,
    accounts: AccountRows,
    outbox: Outbox,
    sessions: Sessions,
    roles: Sequence[str] = (),
) -> Opened:
    """A new registered principal, logged in. Raises Conflict for an e-mail or user name that is taken."""
    principal = await add_account(email, username, password_hash, accounts=accounts, outbox=outbox)
    for role in roles:
        await assign(principal.id, role, accounts=accounts, outbox=outbox)
    return await _open(principal.id, browser, accounts=accounts, sessions=sessions)


async def prove(
    asked: LoggingIn, *, address: str, begin: Begin[Stores], passwords: Passwords, attempts: Attempts
) -> Account:
    """The account whose login and password were given. Raises Unauthenticated, as late for a login nobody has; TooMany.

    An attempt counts as failed from its start, so that many at once gain nothing.
    """
    login = fold(asked.login)
    async with begin() as unit:
        account = await unit.accounts.by_login(login)
    counted = account.principal if account else login
    await attempts.begin(counted, address)
    right = await passwords.verify(account.password_hash if account else None, asked.password)
    if account is None or not right:
        raise Unauthenticated("There is no account with this login and password.", code="wrong-login")
    await attempts.succeeded(counted, address)
    return account


async def log_in(
    account: Account,
    *,
    browser: Browser,
    replaced: Principal | None,
    accounts: AccountRows,
    outbox: Outbox,
    sessions: Sessions,
) -> Opened:
    """A new session for who proved to be `account`; `replaced`, the session that came along, ends.

    Raises Unauthenticated for a password that was changed meanwhile, Forbidden for an account that is shut out.
    """
    if not await accounts.hold(account.principal, account.password_hash):
        raise Unauthenticated("The password was changed just now; log in with the new one.", code="wrong-login")
    if await accounts.is_disabled(account.principal):
        raise Forbidden("This account was shut out by the people who run this portal.", code="account-disabled")
    if replaced is not None:
        await accounts.end_login(replaced.id, replaced.login)
    await accounts.end_browser(account.principal, browser.device)
    await outbox.emit("auth.login", account.principal, principal=account.principal, device=browser.device)
    return await _open(account.principal, browser, accounts=accounts, sessions=sessions)


async def log_out(by: Principal, *, accounts: AccountRows, outbox: Outbox) -> None:
    """End the session that asks; asking twice does no harm."""
    if await accounts.end_login(by.id, by.login):
        await outbox.emit("auth.logout", by.id, principal=by.id)


async def ensure_guest(
    caller: Principal | None, *, browser: Browser, accounts: AccountRows, sessions: Sessions
) -> tuple[Principal, Opened | None]:
    """Who acts; for nobody a new guest, with the session to hand to the browser (`model.session_cookies`)."""
    if caller is not None:
        return caller, None
    guest = Principal(new_id("usr"), "guest", new_id("sub"))
    await accounts.add_principal(guest)
    opened = await _open(guest.id, browser, accounts=accounts, sessions=sessions)
    return opened.principal, opened


async def _open(principal: str, browser: Browser, *, accounts: AccountRows, sessions: Sessions) -> Opened:
    session = sessions.draw()
    now, until = sessions.now(), sessions.until()
    await accounts.add_login(session, new_id("dev"), principal=principal, browser=browser, at=now, until=until)
    found = await accounts.find(session.id, now)
    if found is None:
        raise Unauthenticated("This account is no more.")
    return Opened(found.principal, session.signed, browser.device)
