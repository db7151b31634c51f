"""SQL of payments as they are shown, balances, withdrawals and their policies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gateway.control.db import Connection
from gateway.control.ledger.model import Balance
from gateway.control.wallet.model import Payment, PaymentRow
from gateway.control.wallet.withdrawals import Policy, Withdrawal

TELL = """
insert into payment (principal, kind, amount, currency, rail, purchase, title, other, txn, at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
PAYMENTS = """
select p.id, p.kind, p.amount, p.currency, p.rail, p.purchase, p.title, t.name as title_name, o.kind as term, o.hours,
    s.name as seller, a.username as other, p.at
from payment p left join title t on t.id = p.title left join account a on a.principal = p.other
left join purchase b on b.id = p.purchase left join offer o on o.id = b.offer left join seller s on s.id = b.seller
where p.principal = $1 and p.id < $2 order by p.id desc limit $3
"""
#: Of accounts whose balance is kept in their row.
BALANCES = """
select id, code as account, asset, balance, held from ledger_account where code = any($1::text[]) and cached
order by asset, code
"""
DISPLAY = "select currency from money_shown where principal = $1"
SET_DISPLAY = """
insert into money_shown (principal, currency) values ($1, $2)
on conflict (principal) do update set currency = excluded.currency
"""
NO_DISPLAY = "delete from money_shown where principal = $1"
IS_ASSET = "select true from asset where code = $1"
POLICY = """
select rail, currency, minimum, hold_days, auto_up_to from payout_policy where rail = $1 and currency = $2
"""
POLICIES = """
select rail, currency, minimum, hold_days, auto_up_to from payout_policy order by rail, currency
"""
SET_POLICY = """
insert into payout_policy (rail, currency, minimum, hold_days, auto_up_to, updated_at) values ($1, $2, $3, $4, $5, $6)
on conflict (rail, currency) do update set minimum = excluded.minimum, hold_days = excluded.hold_days,
    auto_up_to = excluded.auto_up_to, updated_at = excluded.updated_at
"""
#: Held, so that of two withdrawals at once the second counts the first.
LOCK_EARNINGS = "select id from ledger_account where code = 'earnings:' || $1 and asset = $2 for no key update"
#: Nobody was asked about what was decided on as it was made; what came back does not count.
TAKEN_UNASKED = """
select coalesce(sum(amount), 0) from withdrawal
where seller = $1 and created_at > $4 and currency = $2 and rail = $3 and decided_at = created_at
    and state in ('approved', 'paying', 'paid')
"""
ADD = """
insert into withdrawal (
    id, key, seller, principal, amount, currency, rail, state, due_at, created_at, decided_at, decided_by)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, case when $11::timestamptz is null then '' else 'policy' end)
on conflict (key) do nothing returning id
"""
_WITHDRAWAL = """
select id, seller, amount, currency, rail, state, due_at, reason, rail_ref, created_at, decided_at, paid_at, run, tries
from withdrawal
"""
BY_ID = _WITHDRAWAL + "where id = $1"
LOCK_ID = BY_ID + " for update"
PUT = """
update withdrawal set state = $2, reason = $3, rail_ref = $4, decided_at = $5, paid_at = $6, decided_by = $7,
    next_try_at = null
where id = $1
"""
OF_SELLER = _WITHDRAWAL + "where seller = $1 order by created_at desc, id desc limit $2"
#: What sellers of withdrawals owe in their currencies.
OWING = """
select w.id, -r.balance from withdrawal w
join ledger_account r on r.code = 'receivable:' || w.seller and r.asset = w.currency
where w.id = any($1::text[]) and r.balance < 0
"""
#: In the order in which a movement holds them, so that no two wait for each other.
HOLD = """
select id from ledger_account where code = any($1::text[]) and asset = $2 and cached order by id for no key update
"""
WAITING = _WITHDRAWAL + "where state in ('requested', 'approved', 'paying') order by created_at, id limit $1"


class WalletStore:
    """Rows of what people have and paid, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def tell(self, payment: Payment) -> None:
        """One line more of somebody's history."""
        one = payment
        values = (one.principal, one.kind, one.amount, one.currency, one.rail, one.purchase, one.title, one.other)
        await self._connection.execute(TELL, *values, one.txn, one.at)

    async def payments(self, principal: str, before: int, limit: int) -> list[PaymentRow]:
        """Somebody's payments before one of them, the newest first."""
        return [PaymentRow(**row) for row in await self._connection.fetch(PAYMENTS, principal, before, limit)]

    async def balances(self, codes: Sequence[str]) -> list[Balance]:
        """Accounts in each asset they were ever posted to."""
        return [Balance(**row) for row in await self._connection.fetch(BALANCES, list(codes))]

    async def display(self, principal: str) -> str | None:
        """In which currency somebody wants amounts told."""
        found = await self._connection.fetchval(DISPLAY, principal)
        return str(found) if found else None

    async def set_display(self, principal: str, currency: str | None) -> None:
        """Keep that, or forget it."""
        if currency is None:
            await self._connection.execute(NO_DISPLAY, principal)
        else:
            await self._connection.execute(SET_DISPLAY, principal, currency)

    async def is_asset(self, currency: str) -> bool:
        """Whether anything is booked in it."""
        return bool(await self._connection.fetchval(IS_ASSET, currency))

    async def policy(self, rail: str, currency: str) -> Policy | None:
        """The terms of a rail in a currency, if they were set."""
        row = await self._connection.fetchrow(POLICY, rail, currency)
        return Policy(**row) if row else None

    async def policies(self) -> list[Policy]:
        """All terms that were set."""
        return [Policy(**row) for row in await self._connection.fetch(POLICIES)]

    async def set_policy(self, policy: Policy, at: datetime) -> None:
        """The terms of a rail from now on."""
        values = (policy.rail, policy.currency, policy.minimum, policy.hold_days, policy.auto_up_to)
        await self._connection.execute(SET_POLICY, *values, at)

    async def taken_unasked(self, seller: str, policy: Policy, since: datetime) -> int:
        """What a seller took out by a rail since then that nobody was asked about.

        Until the transaction ends nobody else counts it, or takes anything of these earnings.
        """
        await self._connection.execute(LOCK_EARNINGS, seller, policy.currency)
        values = (seller, policy.currency, policy.rail, since)
        return int(await self._connection.fetchval(TAKEN_UNASKED, *values))

    async def add(self, withdrawal: Withdrawal, *, key: str, principal: str) -> bool:
        """A new withdrawal; False when its key has one already."""
        one = withdrawal
        values = (one.id, key, one.seller, principal, one.amount, one.currency, one.rail, one.state, one.due_at)
        return await self._connection.fetchval(ADD, *values, one.created_at, one.decided_at) is not None

    async def by_id(self, id: str, *, lock: bool = False) -> Withdrawal | None:
        """A withdrawal, its row held with `lock`."""
        row = await self._connection.fetchrow(LOCK_ID if lock else BY_ID, id)
        return Withdrawal(**row) if row else None

    async def put(self, withdrawal: Withdrawal, *, by: str) -> None:
        """Keep what changed of it, and who decided."""
        one = withdrawal
        values = (one.id, one.state, one.reason, one.rail_ref, one.decided_at, one.paid_at)
        await self._connection.execute(PUT, *values, by)

    async def of_seller(self, seller: str, limit: int) -> list[Withdrawal]:
        """A seller's withdrawals, the newest first."""
        return [Withdrawal(**row) for row in await self._connection.fetch(OF_SELLER, seller, limit)]

    async def waiting(self, limit: int) -> list[Withdrawal]:
        """What is to be decided or paid, the oldest first."""
        return [Withdrawal(**row) for row in await self._connection.fetch(WAITING, limit)]

    async def owing(self, withdrawals: Sequence[str]) -> dict[str, int]:
        """What their sellers owe, by withdrawal, where they do."""
        return {row[0]: int(row[1]) for row in await self._connection.fetch(OWING, list(withdrawals))}

    async def hold(self, codes: Sequence[str], currency: str) -> None:
        """Hold accounts until the transaction ends: what is read of them after this stays so."""
        await self._connection.execute(HOLD, list(codes), currency)
