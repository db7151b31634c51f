"""SQL of the ledger. What is booked is booked by functions of the database (`infra/migrations`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import asyncpg
import msgspec

from gateway.control.db import Connection
from gateway.control.ledger.model import (
    Audit,
    Balance,
    Difference,
    Event,
    Held,
    HoldOrder,
    HoldRow,
    Movement,
    Posted,
    Posting,
    Stamps,
    Txn,
)
from shared.errors import HoldClosed, Insufficient, Invalid, KeyReused, NotFound, Unbalanced, UsherError
from shared.events import TYPES
from shared.ids import new_id

POST = "select booked as txn, replayed from ledger_post($1, $2, $3, $4, $5, $6, $7, $8, $9)"
HOLD = "select opened as hold, replayed from ledger_hold($1, $2, $3, $4, $5, $6, $7)"
CAPTURE = "select booked as txn, replayed from ledger_capture($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
VOID = "select ledger_void($1, $2)"
EXPIRE = "select ledger_expire($1, $2)"
HELD = """
select h.id, a.code as account, a.asset, h.amount, h.captured, h.state, h.txn, h.expires_at
from hold h join ledger_account a on a.id = h.account where h.id = $1
"""
#: A balance that is not cached is the last snapshot and what was posted after it.
BALANCES = """
select a.id, a.code as account, a.asset, a.held,
    case when a.cached then a.balance else coalesce(last.balance, 0) + (
        select coalesce(sum(p.amount), 0) from posting p where p.account = a.id and p.id > coalesce(last.posting, 0)
    ) end as balance
from ledger_account a
left join lateral (
    select s.balance, s.posting from snapshot s where s.account = a.id order by s.posting desc limit 1
) last on not a.cached
where a.code = $1 order by a.asset
"""
_POSTING = """
select p.id, p.txn, t.kind, p.at, a.code as account, p.asset, p.amount,
    p.seller, p.scope, p.model, p.legal_entity, p.fee_bp, p.value_version, p.provider_ref
from posting p join txn t on t.id = p.txn join ledger_account a on a.id = p.account
"""
HISTORY = _POSTING + "where p.account = $1 and p.id < $2 order by p.id desc limit $3"
POSTINGS = _POSTING + "where p.txn = $1 order by p.id"
TXN = "select id, key, kind, reverses, at from txn where id = $1"
TXN_NAMED = "select id, key, kind, reverses, at from txn where key = $1"
#: Whoever posts has written to txn, so none is under way while this lock is held.
QUIET = "set local lock_timeout = '250ms'; lock table txn in share mode"
LAST_POSTING = "select max(id) from posting"
#: Of each account that is not cached and was posted to since its last snapshot. Rows after $1 may come still.
SNAPSHOT = """
insert into snapshot (account, posting, balance)
select a.id, $1, coalesce(last.balance, 0) + fresh.amount
from ledger_account a
left join lateral (
    select s.balance, s.posting from snapshot s where s.account = a.id order by s.posting desc limit 1
) last on true
cross join lateral (
    select sum(p.amount) as amount from posting p
    where p.account = a.id and p.id > coalesce(last.posting, 0) and p.id <= $1
) fresh
where not a.cached and fresh.amount is not null and coalesce(last.posting, 0) < $1
on conflict (account, posting) do nothing
"""
FREEZE = "set transaction isolation level repeatable read, read only"
COUNTS = """
select (select count(*) from ledger_account) as accounts, (select count(*) from txn) as txns,
    (select count(*) from posting) as postings
"""
#: What is kept and what the postings say, where the two differ. They read everything: an audit trusts no index.
AUDITS = {
    "balance": """
        select a.code as where, a.asset, a.balance as kept, coalesce(p.amount, 0) as derived
        from ledger_account a left join (select account, sum(amount) as amount from posting group by account) p
            on p.account = a.id
        where a.cached and a.balance <> coalesce(p.amount, 0) order by a.id
    """,
    "held": """
        select a.code as where, a.asset, a.held as kept, coalesce(h.amount, 0) as derived
        from ledger_account a
        left join (select account, sum(amount) as amount from hold where state = 'open' group by account) h
            on h.account = a.id
        where a.held <> coalesce(h.amount, 0) order by a.id
    """,
    "snapshot": """
        select a.code as where, a.asset, s.balance as kept, coalesce(sum(p.amount), 0) as derived
        from (select distinct on (account) account, posting, balance from snapshot order by account, posting desc) s
        join ledger_account a on a.id = s.account
        left join posting p on p.account = s.account and p.id <= s.posting
        group by a.id, s.balance having s.balance <> coalesce(sum(p.amount), 0) order by a.id
    """,
    "captured": """
        select h.id as where, a.asset, h.captured as kept, coalesce(-sum(p.amount), 0) as derived
        from hold h join ledger_account a on a.id = h.account
        left join posting p on p.txn = h.txn and p.account = h.account
        where h.state = 'captured'
        group by h.id, a.asset having h.captured <> coalesce(-sum(p.amount), 0) order by h.id
    """,
    "asset": """
        select '' as where, asset, 0::numeric as kept, sum(amount) as derived
        from posting group by asset having sum(amount) <> 0 order by asset
    """,
    "txn": """
        select txn::text as where, asset, 0::numeric as kept, sum(amount) as derived
        from posting group by txn, asset having sum(amount) <> 0 order by txn, asset
    """,
}
#: An audit reads all there is.
AUDIT_TIMEOUT_S = 3600.0


class LedgerStore:
    """Accounts and what is booked on them, on the connection of the running transaction.

    A refusal ends that transaction: nothing more can be asked of it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def post(self, movement: Movement) -> Posted:
        """Book a movement, once, in one round trip. Raises Insufficient, KeyReused, NotFound, Unbalanced, Invalid."""
        with _refusals():
            rows = await self._connection.fetch(POST, *_booking(movement), movement.reverses, _events(movement))
        return Posted(**rows[0])

    async def hold(self, id: str, order: HoldOrder) -> Held:
        """Set an amount aside, once. Raises Insufficient, KeyReused, NotFound."""
        values = (order.account, order.asset, order.amount, order.expires_at)
        with _refusals():
            rows = await self._connection.fetch(HOLD, id, order.key, order.hash, *values)
        return Held(**rows[0])

    async def capture(self, hold: str, movement: Movement, now: datetime) -> Posted:
        """Book what a hold was for. Raises as `post`, and HoldClosed."""
        with _refusals():
            rows = await self._connection.fetch(CAPTURE, hold, now, *_booking(movement), _events(movement))
        return Posted(**rows[0])

    async def void(self, hold: str, now: datetime) -> bool:
        """Free what was set aside; False when it was before. Raises HoldClosed, NotFound."""
        with _refusals():
            return bool(await self._connection.fetchval(VOID, hold, now))

    async def expire(self, now: datetime, limit: int) -> int:
        """Free what holds that are over set aside; how many."""
        return int(await self._connection.fetchval(EXPIRE, now, limit))

    async def held(self, hold: str) -> HoldRow | None:
        """One hold."""
        row = await self._connection.fetchrow(HELD, hold)
        return HoldRow(**row) if row else None

    async def balances(self, account: str) -> list[Balance]:
        """An account in each asset it was ever posted to."""
        return [Balance(**row) for row in await self._connection.fetch(BALANCES, account)]

    async def history(self, account: int, before: int | None, limit: int) -> list[Posting]:
        """Postings of an account before one of them, the newest first."""
        last = 2**63 - 1 if before is None else before
        return [_posting(row) for row in await self._connection.fetch(HISTORY, account, last, limit)]

    async def txn(self, id: int) -> Txn | None:
        """A movement by its id."""
        return await self._txn(await self._connection.fetchrow(TXN, id))

    async def txn_named(self, key: str) -> Txn | None:
        """A movement by its key."""
        return await self._txn(await self._connection.fetchrow(TXN_NAMED, key))

    async def last_posting(self) -> int | None:
        """The last posting before which no other can come any more; None while writers leave no gap to look in."""
        try:
            await self._connection.execute(QUIET)
        except asyncpg.LockNotAvailableError:
            return None
        return int(await self._connection.fetchval(LAST_POSTING) or 0)

    async def snapshot(self, posting: int) -> int:
        """Keep what accounts that are not cached hold after a posting that `last_posting` gave; how many."""
        return int((await self._connection.execute(SNAPSHOT, posting)).split()[-1])

    async def audit(self) -> Audit:
        """Derive everything anew, at one moment; must be the first that is asked of its transaction."""
        await self._connection.execute(FREEZE)
        counts = await self._connection.fetch(COUNTS, timeout=AUDIT_TIMEOUT_S)
        found = [
            msgspec.convert({"what": what, **row}, Difference)
            for what, query in AUDITS.items()
            for row in await self._connection.fetch(query, timeout=AUDIT_TIMEOUT_S)
        ]
        return Audit(**counts[0], differences=found)

    async def _txn(self, row: asyncpg.Record | None) -> Txn | None:
        if row is None:
            return None
        postings = await self._connection.fetch(POSTINGS, row["id"])
        return Txn(**row, postings=[_posting(one) for one in postings])


def _booking(movement: Movement) -> tuple[object, ...]:
    """Key, hash, kind, stamps, and the legs as three arrays."""
    codes, assets, amounts = zip(*(msgspec.structs.astuple(leg) for leg in movement.legs), strict=True)
    stamps = msgspec.to_builtins(movement.stamps)
    return movement.key, movement.hash, movement.kind, stamps, list(codes), list(assets), list(amounts)


def _events(movement: Movement) -> list[dict[str, object]]:
    """What is told of a movement: that it was posted, and what its maker adds."""
    accounts = list(dict.fromkeys(leg.account for leg in movement.legs if leg.amount))
    posted: dict[str, object] = {"type": "ledger.posted", "data": {"kind": movement.kind, "accounts": accounts}}
    events = [posted, *(_event(event) for event in movement.events)]
    return [event | {"id": new_id("evt")} for event in events]


def _event(event: Event) -> dict[str, object]:
    if event.type not in TYPES:
        raise ValueError(f"the event type {event.type} is not listed in shared/events.py")
    return {"type": event.type, "subject": event.subject, "data": event.data}


def _posting(row: asyncpg.Record) -> Posting:
    facts = dict(row)
    stamps = Stamps(**{name: facts.pop(name) for name in Stamps.__struct_fields__})
    return Posting(**facts, stamps=stamps)


@contextmanager
def _refusals() -> Iterator[None]:
    """What the functions refuse, and the constraints behind them, as errors of ours."""
    try:
        yield
    except asyncpg.PostgresError as error:
        if (told := _told(error)) is None:
            raise
        raise told from error


def _told(error: asyncpg.PostgresError) -> UsherError | None:
    words = str(error)
    match error.sqlstate:
        case "US001":
            return Unbalanced(f"Not booked: {words}.")
        case "US404":
            return NotFound(f"Not booked: {words}.")
        case "US409":
            account, _, asset = words.rpartition(" ")
            return Insufficient(account=account, asset=asset)
        case "US410":
            return HoldClosed(f"What was set aside is {words} already.", state=words)
        case "US422":
            return KeyReused(f"This idempotency key came with another request before: {words}.")
        case "23503":  # `reverses`, the one reference that comes from outside
            return NotFound("Not booked: there is no such movement to take back.")
        case "23514" | "22003":  # a CHECK, or more digits than an amount has
            return Invalid("This cannot be booked: an amount or a code is not of the expected form.")
    return None
