"""What is done with money: book it, set it aside, look at it, and derive all of it anew.

Each of these runs in the caller's transaction, so that what is booked and what it was booked for become true together.
Without Postgres nothing is booked (fails="closed").
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from gateway.control.db import Begin
from gateway.control.ledger.model import (
    PAGE,
    Audit,
    Balance,
    Held,
    HoldOrder,
    Ledger,
    Movement,
    Page,
    Posted,
    Txn,
    check,
    check_order,
)
from shared.errors import NotFound
from shared.ids import new_id

#: Holds that one transaction expires.
EXPIRED_AT_ONCE = 500


class Stores(Protocol):
    """One transaction."""

    @property
    def ledger(self) -> Ledger: ...


async def post(movement: Movement, *, ledger: Ledger) -> Posted:
    """Book a movement. A second call with its key books nothing and gives the first one's id.

    Raises Unbalanced, Invalid, NotFound (no such kind of account, no such asset), Insufficient, KeyReused.
    """
    return await ledger.post(check(movement))


async def hold(order: HoldOrder, *, ledger: Ledger) -> Held:
    """Set an amount aside until it is captured, voided or expired. A second call with its key gives the first one's id.

    Raises Invalid, NotFound (such an account can hold nothing), Insufficient, KeyReused.
    """
    return await ledger.hold(new_id("hld"), check_order(order))


async def capture(hold: str, movement: Movement, *, ledger: Ledger, now: datetime) -> Posted:
    """Book what a hold was for; what its legs do not take of it is free again. Idempotent by the movement's key.

    Raises as `post`, HoldClosed, and Unbalanced when the legs take nothing of the hold or more than all of it.
    """
    return await ledger.capture(hold, check(movement), now)


async def void(hold: str, *, ledger: Ledger, now: datetime) -> bool:
    """Free what was set aside; False when that was done before. Raises HoldClosed, NotFound."""
    return await ledger.void(hold, now)


async def expire(*, begin: Begin[Stores], now: datetime) -> int:
    """Free what holds that are over set aside, in as many transactions as it takes; how many."""
    total, count = 0, EXPIRED_AT_ONCE
    while count == EXPIRED_AT_ONCE:
        async with begin() as unit:
            count = await unit.ledger.expire(now, EXPIRED_AT_ONCE)
        total += count
    return total


async def balance(account: str, asset: str, *, ledger: Ledger) -> Balance:
    """What an account holds of an asset; nothing for one that was never posted to."""
    found = [one for one in await ledger.balances(account) if one.asset == asset]
    return found[0] if found else Balance(id=0, account=account, asset=asset, balance=0, held=0)


async def balances(account: str, *, ledger: Ledger) -> list[Balance]:
    """An account in each asset. Raises NotFound for one that was never posted to."""
    found = await ledger.balances(account)
    if not found:
        raise NotFound(f"Nothing was ever booked on an account {account}.")
    return found


async def history(account: Balance, *, ledger: Ledger, before: int | None = None, limit: int = PAGE) -> Page:
    """Postings of an account in one asset, the newest first, from a cursor on."""
    items = await ledger.history(account.id, before, limit + 1)
    return Page(items[:limit], next=items[limit - 1].id if len(items) > limit else None)


async def show(ref: str, *, ledger: Ledger) -> Txn:
    """A movement by its id or its key. Raises NotFound."""
    found = await ledger.txn(int(ref)) if ref.isascii() and ref.isdigit() and len(ref) < 19 else None
    found = found or await ledger.txn_named(ref)
    if found is None:
        raise NotFound(f"There is no movement with the id or key {ref}.")
    return found


async def snapshot(*, begin: Begin[Stores]) -> int | None:
    """Keep the balances of accounts that are not cached; how many. None: writers left no gap, the next turn may.

    Two transactions: the first holds writers up for a quarter of a second at most, the second adds up.
    """
    async with begin() as unit:
        posting = await unit.ledger.last_posting()
    if posting is None:
        return None
    async with begin() as unit:
        return await unit.ledger.snapshot(posting)


async def audit(*, begin: Begin[Stores]) -> Audit:
    """Derive every balance, hold, snapshot and sum anew from the postings, at one moment."""
    async with begin() as unit:
        return await unit.ledger.audit()
