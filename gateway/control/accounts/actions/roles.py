"""Roles: given and taken by admins, and by the command line."""

from __future__ import annotations

from gateway.control.accounts.model import Account, AccountRows, PlatformRole
from gateway.control.accounts.named import named
from gateway.control.auth import ADMIN, GLOBAL, Principal, require
from gateway.control.outbox import Outbox
from shared.errors import Conflict, NotFound
from shared.ids import new_id


async def add_account(
    email: str, username: str, password_hash: str, *, accounts: AccountRows, outbox: Outbox
) -> Principal:
    """A registered principal that nobody logged in; for set-up and the command line. Raises Conflict."""
    principal = Principal(new_id("usr"), "registered", new_id("sub"))
    await accounts.add_principal(principal)
    await accounts.add_account(Account(principal.id, email, username, password_hash))
    await outbox.emit("auth.register", principal.id, principal=principal.id)
    return principal


async def assign(principal: str, role: str, scope: str = GLOBAL, *, accounts: AccountRows, outbox: Outbox) -> None:
    """Give a role on nobody's behalf: set-up and the command line. Giving it twice is giving it once."""
    if await accounts.assign(principal, role, scope):
        await outbox.audit("system", "role.give", principal, after={"role": role, "scope": scope})


async def give_role(username: str, role: PlatformRole, *, by: Principal, accounts: AccountRows, outbox: Outbox) -> None:
    """Give a role on the whole platform. Raises NotFound."""
    require(by, "account:assign")
    principal = await named(username, accounts=accounts)
    if await accounts.assign(principal, role, GLOBAL):
        after = {"role": role, "scope": GLOBAL}
        await outbox.audit(by.id, "role.give", principal, after=after, place=by.place)


async def take_role(username: str, role: PlatformRole, *, by: Principal, accounts: AccountRows, outbox: Outbox) -> None:
    """Take a role. Raises NotFound, and Conflict rather than leave nobody who may give roles."""
    require(by, "account:assign")
    principal = await named(username, accounts=accounts)
    await accounts.holders(ADMIN, GLOBAL, lock=True)  # locks them: of two who take each other's role, one is refused
    if not await accounts.unassign(principal, role, GLOBAL):
        raise NotFound("This account does not have this role.")
    if not await accounts.holders(ADMIN, GLOBAL, lock=True):
        raise Conflict("This is the last admin; make somebody else admin first.", code="last-admin")
    before = {"role": role, "scope": GLOBAL}
    await outbox.audit(by.id, "role.take", principal, before=before, place=by.place)
