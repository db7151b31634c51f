"""What those who run the platform do: look at accounts, payments and refunds, shut somebody out, let them in again."""

from __future__ import annotations

from typing import Protocol

import msgspec

from gateway.control import paging
from gateway.control.accounts.model import AccountRows, fold
from gateway.control.auth import ADMIN, GLOBAL, Principal, can, require
from gateway.control.checkout.model import RefundState
from gateway.control.office.model import (
    BookedPayment,
    OfficeRows,
    PaymentLine,
    RefundLine,
    UserLine,
    UserRow,
    UserView,
    Wanted,
    keys_of,
)
from gateway.control.outbox import Outbox
from gateway.control.paging import EVER, Cursor, before
from gateway.control.sellers.model import SellerRows
from gateway.control.wallet.model import Pocket, Wallets, accounts_of, wallet_of
from shared.clock import Clock
from shared.errors import Conflict, NotFound
from shared.events import Push
from shared.ids import is_id

ACCOUNTS, PAYMENTS = "account:read", "payment:read"
#: What the edges say to who played.
ENDED = "revoked"


class Stores(Protocol):
    """One transaction."""

    @property
    def office(self) -> OfficeRows: ...
    @property
    def accounts(self) -> AccountRows: ...
    @property
    def sellers(self) -> SellerRows: ...
    @property
    def wallet(self) -> Wallets: ...
    @property
    def outbox(self) -> Outbox: ...


async def users(
    prefix: str, *, by: Principal, cursor: str, limit: int, office: OfficeRows
) -> tuple[list[UserLine], str | None]:
    """A page of accounts by name, and where the next one starts. Raises Forbidden, Invalid."""
    require(by, ACCOUNTS)
    found = await office.users(fold(prefix), after=_name(cursor), limit=limit + 1)
    return found[:limit], paging.encode(found[limit - 1].username.encode()) if len(found) > limit else None


async def user(ref: str, *, by: Principal, unit: Stores, clock: Clock, display: str) -> UserView:
    """An account by name or id. Raises Forbidden, NotFound."""
    require(by, ACCOUNTS)
    return await _show(await _user(ref, unit=unit, clock=clock), by=by, unit=unit, display=display)


async def disable(
    ref: str, reason: str, *, by: Principal, place: str, unit: Stores, clock: Clock, display: str
) -> UserView:
    """Shut an account out: all its devices are logged out, and what it plays ends within two seconds.

    What it has stays its own. Twice is once. Raises Forbidden (also for an account with a role, unless `by` may give
    roles), NotFound, Conflict for one's own and for the last admin.
    """
    require(by, "account:disable")
    found = await _user(ref, unit=unit, clock=clock)
    if found.id == by.id:
        raise Conflict("This is your own account.", code="own-account")
    if found.roles:
        require(by, "account:assign")
    await unit.accounts.account_of(found.id, lock=True)  # before its logins and links, as all who end them do
    await unit.accounts.holders(ADMIN, GLOBAL, lock=True)  # locks them: of two who shut each other out, one is refused
    if await unit.office.disable(found.id, reason, clock.now()):
        if not await unit.accounts.holders(ADMIN, GLOBAL, lock=True):
            raise Conflict("This is the last admin; make somebody else admin first.", code="last-admin")
        await unit.accounts.end_logins(found.id)
        await unit.accounts.end_resets(found.id)
        await unit.outbox.push(Push("sub", found.sub, int(clock.epoch()) + 1, ENDED))
        await unit.outbox.audit(
            by.id, "account:disable", found.id, before=_said(found), after={"reason": reason}, place=place
        )
    return await user(found.id, by=by, unit=unit, clock=clock, display=display)


async def enable(ref: str, *, by: Principal, place: str, unit: Stores, clock: Clock, display: str) -> UserView:
    """Let an account in again. Raises Forbidden, NotFound."""
    require(by, "account:disable")
    found = await _user(ref, unit=unit, clock=clock)
    if found.roles:
        require(by, "account:assign")
    if await unit.office.enable(found.id):
        await unit.outbox.audit(by.id, "account:enable", found.id, before=_said(found), place=place)
    return await user(found.id, by=by, unit=unit, clock=clock, display=display)


async def payments(
    wanted: Wanted, *, by: Principal, after: Cursor | None, limit: int, unit: Stores
) -> tuple[list[PaymentLine], Cursor | None]:
    """A page of payments, the newest first, and where the next one starts. Raises Forbidden.

    The buyer is named by name or id; one that nobody has finds nothing.
    """
    require(by, PAYMENTS)
    if wanted.buyer is not None and not is_id(wanted.buyer, "usr"):
        buyer = await unit.accounts.principal_named(fold(wanted.buyer))
        wanted = msgspec.structs.replace(wanted, buyer=buyer or "")
    found = await unit.office.payments(wanted, before=before(after, wanted.until), limit=limit + 1)
    return found[:limit], _place(found[limit - 1]) if len(found) > limit else None


async def payment(id: str, *, by: Principal, office: OfficeRows) -> BookedPayment:
    """A payment with its refunds and all that was booked for it. Raises Forbidden, NotFound."""
    require(by, PAYMENTS)
    found = await office.payment(id) if is_id(id, "pur") else None
    if found is None:
        raise NotFound("There is no such payment.")
    refunds = await office.refunds_of(id)
    return BookedPayment(
        payment=found,
        parts=await office.parts(id),
        refunds=refunds,
        postings=await office.postings(keys_of(found, refunds)),
    )


async def refunds(
    state: RefundState | None, *, by: Principal, after: Cursor | None, limit: int, office: OfficeRows
) -> tuple[list[RefundLine], Cursor | None]:
    """A page of refunds, the newest first, and where the next one starts. Raises Forbidden."""
    require(by, PAYMENTS)
    found = await office.refunds(state, before=before(after, EVER[1]), limit=limit + 1)
    return found[:limit], _place(found[limit - 1]) if len(found) > limit else None


async def _user(ref: str, *, unit: Stores, clock: Clock) -> UserRow:
    id = ref if is_id(ref, "usr") else await unit.accounts.principal_named(fold(ref))
    found = await unit.office.user(id, clock.now()) if id else None
    if found is None:
        raise NotFound("There is no such account.")
    return found


async def _show(found: UserRow, *, by: Principal, unit: Stores, display: str) -> UserView:
    facts = {name: value for name, value in msgspec.structs.asdict(found).items() if name != "sub"}
    sellers = await unit.sellers.memberships(found.id)
    return UserView(**facts, sellers=sellers, wallet=await _wallet(found, by=by, wallet=unit.wallet, display=display))


async def _wallet(found: UserRow, *, by: Principal, wallet: Wallets, display: str) -> list[Pocket] | None:
    if not can(by, PAYMENTS):
        return None
    return wallet_of(await wallet.balances(accounts_of(found.id)), display).pockets


def _said(found: UserRow) -> dict[str, object] | None:
    return {"reason": found.disabled_reason} if found.disabled else None


def _place(line: PaymentLine | RefundLine) -> Cursor:
    return Cursor(line.created_at, line.id)


def _name(cursor: str) -> str:
    """The name after which a page starts. Raises Invalid for what no page gave."""
    try:
        return fold(paging.decode(cursor).decode())
    except ValueError as error:
        raise paging.not_ours() from error
