"""A forgotten password: a link by mail that works once, for two hours."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from gateway.control.accounts.model import RESET_TTL_S, AccountRows, Mail, fold
from gateway.control.outbox import Outbox
from shared.clock import Clock
from shared.errors import Gone
from shared.ids import new_secret

TEXT = """Hello {username},

somebody asked for a new password for your account. To choose one, open this address within two hours:

{origin}/reset?token={token}

It works once. If it was not you, do nothing: your password stays as it is.
"""


async def forgot(email: str, *, origin: str, accounts: AccountRows, clock: Clock) -> Mail | None:
    """The mail with a reset link, to be sent after the transaction; None for nobody's e-mail or one asked too often."""
    folded = fold(email)
    account = await accounts.by_login(folded) if "@" in folded else None
    if account is None:
        return None
    token, now = new_secret(), clock.now()
    until = now + timedelta(seconds=RESET_TTL_S)
    if not await accounts.add_reset(_hashed(token), account.principal, at=now, until=until):
        return None
    text = TEXT.format(username=account.username, origin=origin.rstrip("/"), token=token)
    return Mail(account.email, "A new password", text)


async def reset(token: str, password_hash: str, *, accounts: AccountRows, outbox: Outbox, clock: Clock) -> None:
    """Set a new password and end all logins. Raises Gone for a link that is none, used or over."""
    principal = await accounts.use_reset(_hashed(token), clock.now())
    if principal is None or not await accounts.set_password(principal, password_hash):
        raise Gone("This link was used or is too old; ask for a new one.", code="reset-over")
    await accounts.end_logins(principal)
    await outbox.emit("auth.reset", principal, principal=principal)
    await outbox.record(principal, "account.reset", principal)


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
