"""A forgotten password: a link by mail that works once, for two hours."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from gateway.control.accounts.model import RESET_TTL_S, AccountRows, fold
from gateway.control.mail import actions as mail
from gateway.control.mail.model import MailRows, Message
from gateway.control.outbox import Outbox
from shared.clock import Clock
from shared.errors import Gone
from shared.ids import new_id


class Stores(Protocol):
    """The part of a transaction that asking for a link needs."""

    @property
    def accounts(self) -> AccountRows: ...
    @property
    def mail(self) -> MailRows: ...


async def forgot(email: str, *, token_of: Callable[[str], str], unit: Stores, clock: Clock) -> bool:
    """Write down a mail with a reset link; False for nobody's e-mail or one asked too often.

    The link's token follows from the mail's id (`token_of`), so it stands nowhere until the mail is sent.
    """
    folded = fold(email)
    account = await unit.accounts.by_login(folded) if "@" in folded else None
    if account is None:
        return False
    id, now = new_id("mail"), clock.now()
    until = now + timedelta(seconds=RESET_TTL_S)
    if not await unit.accounts.add_reset(_hashed(token_of(id)), account.principal, at=now, until=until):
        return False
    message = Message(id=id, key=id, kind="reset", principal=account.principal)
    return await mail.put(message, unit=unit, clock=clock)


async def reset(token: str, password_hash: str, *, accounts: AccountRows, outbox: Outbox, clock: Clock) -> None:
    """Set a new password and end all logins. Raises Gone for a link that is none, used or over."""
    hashed, now = _hashed(token), clock.now()
    owner = await accounts.reset_of(hashed, now)
    # The account's row is held before its links and logins, as by all who end these: no two wait for each other.
    account = await accounts.account_of(owner, lock=True) if owner else None
    if account is None or await accounts.use_reset(hashed, now) is None:
        raise Gone("This link was used or is too old; ask for a new one.", code="reset-over")
    principal = account.principal
    await accounts.set_password(principal, password_hash)
    await accounts.end_logins(principal)
    await outbox.emit("auth.reset", principal, principal=principal)
    await outbox.record(principal, "account.reset", principal)


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
