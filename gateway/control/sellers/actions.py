"""What people do with sellers: found one, let others join, leave."""

from __future__ import annotations

from gateway.control.accounts.model import AccountRows, fold
from gateway.control.accounts.named import named
from gateway.control.auth import OWNER, Principal, require
from gateway.control.outbox import Outbox
from gateway.control.sellers.model import Founding, Members, Seller, SellerRole, SellerRows, scope_of
from shared.errors import Conflict, NotFound
from shared.ids import new_id


async def found(
    asked: Founding, *, by: Principal, sellers: SellerRows, accounts: AccountRows, outbox: Outbox
) -> Seller:
    """A new seller, owned by whoever asks. Raises Conflict for a handle that is taken."""
    seller = Seller(new_id("slr"), asked.name, asked.handle)
    if not await sellers.add(seller):
        raise Conflict("This handle is taken.", code="handle-taken")
    await accounts.assign(by.id, OWNER, scope_of(seller.id))
    await outbox.emit("seller.created", seller.id, seller=seller.id, principal=by.id)
    await outbox.audit(by.id, "seller.create", seller.id, after={"handle": seller.handle}, place=by.place)
    return seller


async def read(handle: str, *, sellers: SellerRows) -> Seller:
    """The seller with this handle. Raises NotFound."""
    seller = await sellers.by_handle(handle)
    if seller is None:
        raise NotFound("There is no such seller.")
    return seller


async def members(handle: str, *, by: Principal, sellers: SellerRows) -> Members:
    """Who belongs to a seller, for those who do. Raises NotFound, Forbidden."""
    seller = await read(handle, sellers=sellers)
    require(by, "seller:read", seller)
    return Members(await sellers.members(seller.id))


async def let_join(
    handle: str,
    username: str,
    role: SellerRole,
    *,
    by: Principal,
    sellers: SellerRows,
    accounts: AccountRows,
    outbox: Outbox,
) -> None:
    """Give an account this role with a seller, in place of the one it had. Raises Conflict for its last owner."""
    seller = await read(handle, sellers=sellers)
    require(by, "seller:write", seller)
    principal = await named(username, accounts=accounts)
    await sellers.lock(seller.id)
    before = await sellers.roles_of(seller.id, principal)
    if before == [role]:
        return
    for old in before:
        await accounts.unassign(principal, old, scope_of(seller.id))
    await accounts.assign(principal, role, scope_of(seller.id))
    await _keep_an_owner(seller, accounts)
    was, now = _said(principal, before), _said(principal, [role])
    await outbox.audit(by.id, "seller.member", seller.id, before=was, after=now, place=by.place)


async def let_go(
    handle: str, username: str, *, by: Principal, sellers: SellerRows, accounts: AccountRows, outbox: Outbox
) -> None:
    """Take an account off a seller; everybody may go by themselves. Raises Conflict for its last owner."""
    seller = await read(handle, sellers=sellers)
    principal = await accounts.principal_named(fold(username))
    if principal != by.id:
        require(by, "seller:write", seller)
    await sellers.lock(seller.id)
    before = await sellers.roles_of(seller.id, principal) if principal else []
    if principal is None or not before:
        raise NotFound("This account is not a member.")
    for old in before:
        await accounts.unassign(principal, old, scope_of(seller.id))
    await _keep_an_owner(seller, accounts)
    was, now = _said(principal, before), _said(principal, [])
    await outbox.audit(by.id, "seller.member", seller.id, before=was, after=now, place=by.place)


async def _keep_an_owner(seller: Seller, accounts: AccountRows) -> None:
    if not await accounts.holders(OWNER, scope_of(seller.id), lock=True):
        raise Conflict("This is the last owner; make another member owner first.", code="last-owner")


def _said(principal: str, roles: list[str]) -> dict[str, object]:
    return {"principal": principal, "roles": roles}
