"""Queries of the ledger and of idempotency keys at scale: each finds its rows by an index, as do those of functions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from gateway.control.idempotency import store as idempotency
from gateway.control.ledger import store as ledger
from tests.support.plans import all_scans, queries

#: 10,000 movements among 5,000 wallets and the platform's accounts, as many holds, and keys.
FILL = """
insert into principal (id, kind, sub) select 'usr_' || n, 'registered', 'sub_' || n from generate_series(1, 5000) n;
insert into ledger_account (code, asset, kind, cached, side, balance)
    select 'wallet:usr_' || n, 'USD', 'wallet', true, 'credit', 4 from generate_series(1, 5000) n;
insert into ledger_account (code, asset, kind, cached, side)
    values ('platform_fee', 'USD', 'platform_fee', false, 'either');
insert into txn (key, hash, kind) select 'key_' || n, '', 'sale' from generate_series(1, 10000) n;
insert into posting (txn, account, asset, amount)
    select t.id, a.id, 'USD', s.sign from txn t cross join (values (1), (-1)) s(sign) join ledger_account a
        on a.code = case s.sign when 1 then 'wallet:usr_' || (t.id % 5000 + 1) else 'platform_fee' end;
insert into snapshot (account, posting, balance)
    select a.id, n * 50, 0 from ledger_account a, generate_series(1, 300) n where a.code = 'platform_fee';
insert into hold (id, key, hash, account, amount, state, expires_at, created_at)
    select 'hld_' || n, 'hold_' || n, '', (select min(id) from ledger_account) + n % 5000, 1,
        case when n % 100 = 0 then 'open' else 'voided' end, now() + n * interval '1 second', now()
    from generate_series(1, 10000) n;
insert into idempotency (principal, key, route, hash, attempt, at)
    select 'usr_' || n % 5000 + 1, 'k' || n, 'pay', '', 'a', now() - n * interval '1 second'
    from generate_series(1, 10000) n;
"""
HOUR = timedelta(hours=1)
#: A handful of rows for good.
SMALL = {"asset", "ledger_kind"}
#: An audit reads everything. What functions ask in their turn is looked at below.
QUERIES = queries(ledger, idempotency, but=("ledger.COUNTS",))


@pytest.fixture
async def filled(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a ledger with tens of thousands of rows, which has counted no scan of its own yet."""
    filling = await asyncpg.connect(database_url)
    await filling.execute(FILL)
    await filling.execute("vacuum analyze")
    await filling.close()
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_every_query_finds_its_rows_by_an_index(filled: asyncpg.Connection) -> None:
    assert len(QUERIES) >= 14
    assert await all_scans(filled, QUERIES) == {}


async def test_what_functions_ask_is_found_by_an_index(filled: asyncpg.Connection) -> None:
    now = await filled.fetchval("select now()")
    async with filled.transaction():
        for n in range(20):  # the plans of a function are made anew for the first five calls
            wallet = f"wallet:usr_{n + 1}"
            sale = (b"", "sale", "{}", [wallet, "platform_fee"], ["USD", "USD"], [-1, 1])
            told = f'[{{"id": "evt_{n}", "type": "t", "data": {{}}}}]'
            await filled.fetch(ledger.POST, f"new_{n}", *sale, None, told)
            await filled.fetch(ledger.HOLD, f"hld_new_{n}", f"hold_new_{n}", b"", wallet, "USD", 1, now + HOUR)
            await filled.fetch(ledger.CAPTURE, f"hld_new_{n}", now, f"capture_{n}", *sale, "[]")
            await filled.fetch(ledger.HOLD, f"hld_void_{n}", f"hold_void_{n}", b"", wallet, "USD", 1, now + HOUR)
            await filled.fetch(ledger.VOID, f"hld_void_{n}", now)
            await filled.fetch(ledger.EXPIRE, now, 500)
        read = await filled.fetch("select relname, seq_scan from pg_stat_xact_user_tables where seq_scan > 0")
    assert {row["relname"] for row in read} - SMALL == set()
