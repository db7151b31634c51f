"""Queries of statements at scale: each finds its rows by an index, but for the trial balance, which reads all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

from gateway.control.statements import store
from tests.support.plans import all_scans, filling, queries

#: 13,000 movements of 2,000 sellers over three years, half of them of one; some by a rail that paid at once.
FILL = """
insert into principal (id, kind, sub) select 'usr_' || n, 'registered', 'sub_' || n from generate_series(1, 20) n;
insert into seller (id, name, handle, handle_folded)
    select 'slr_' || n, 'S' || n, 's' || n, 's' || n from generate_series(1, 2000) n;
insert into title (id, seller, kind, short_id, short_folded, slug, name)
    select 'ttl_' || n, 'slr_' || n, 'video', 's' || n, 's' || n, 't' || n, 'T' || n from generate_series(1, 2000) n;
insert into ledger_account (code, asset, kind, cached, side, balance)
    select 'wallet:usr_' || n, 'USD', 'wallet', true, 'credit', 4 from generate_series(1, 20000) n;
insert into ledger_account (code, asset, kind, cached, side)
    select k.name || ':slr_' || n, 'USD', k.name, true, k.side from generate_series(1, 2000) n, ledger_kind k
    where k.name in ('earnings_pending', 'earnings', 'payout_in_transit', 'receivable');
insert into ledger_account (code, asset, kind, cached, side)
    select 'external:stripe:slr_' || n, 'USD', 'external', false, 'either' from generate_series(1, 2000) n;
insert into ledger_account (code, asset, kind, cached, side)
    values ('platform_fee', 'USD', 'platform_fee', false, 'either'), ('cash:stripe', 'USD', 'cash', false, 'either');
insert into txn (key, hash, kind, at)
    select 'key_' || n, '', case n % 4 when 0 then 'settlement' else 'sale' end,
        timestamptz '2024-01-01' + n * interval '2 hours' from generate_series(1, 13000) n;
insert into posting (txn, account, asset, amount, at, seller, scope, legal_entity)
    select t.id, a.id, 'USD', leg.amount, t.at, 'slr_' || t.seller, 'ttl_' || t.seller, 'usher'
    from (select id, kind, at, case id % 2 when 0 then 7 else id % 2000 + 1 end as seller from txn) t
    cross join lateral (values
        (case t.kind when 'sale' then 'cash:stripe' else 'earnings_pending:slr_' || t.seller end, -10),
        (case t.kind when 'sale' then 'platform_fee' else 'earnings:slr_' || t.seller end, 1),
        (case when t.kind = 'settlement' then 'receivable:slr_' || t.seller
              when t.id % 3 = 0 then 'external:stripe:slr_' || t.seller
              else 'earnings_pending:slr_' || t.seller end, 9)
    ) leg(code, amount)
    join ledger_account a on a.code = leg.code and a.asset = 'USD'
    order by t.id;
"""
#: Of all movements of a month the kinds may be read with those of the rest, where that is less work.
BESIDE = {"statements.TURNOVER": {"txn", "ledger_account"}}
#: But for what reads everything, and says so.
QUERIES = queries(store, but=("statements.TRIAL",))


@pytest.fixture
async def filled(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a ledger of three years."""
    async with filling(database_url, FILL) as connection:
        yield connection


async def test_every_query_finds_its_rows_by_an_index(filled: asyncpg.Connection) -> None:
    assert len(QUERIES) >= 6
    found = await all_scans(filled, QUERIES)
    assert {name: tables for name, tables in found.items() if tables - BESIDE.get(name, set())} == {}


async def test_month_of_a_seller_of_many_years_reads_that_month_alone(filled: asyncpg.Connection) -> None:
    of_all = await filled.fetchval("select count(*) from posting where seller = 'slr_7'")
    month = "timestamptz '2026-01-01', timestamptz '2026-02-01'"
    assert of_all > 15_000
    # Movements are found by account and by seller, and then read whole.
    assert 0 < await rows_read(filled, "FLOWS", f"'slr_7', {month}, false, true, 'usher'") < 3_000
    # What the accounts held before is the sum of all that came before.
    assert await rows_read(filled, "SUMS", f"'slr_7', {month}, 'usher'") < of_all
    assert await rows_read(filled, "FIRST", "'slr_7'") < 20


async def rows_read(connection: asyncpg.Connection, name: str, values: str) -> int:
    """Rows of postings that a query reads, those that it then leaves out counted too."""
    await connection.execute(f"prepare asked as {QUERIES[f'statements.{name}']}")
    plan = await connection.fetchval(f"explain (analyze, format json) execute asked({values})")
    await connection.execute("deallocate asked")
    todo, total = [json.loads(plan)[0]["Plan"]], 0
    while todo:
        node = todo.pop()
        todo += node.get("Plans", [])
        if node.get("Relation Name") == "posting":
            kept = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            total += round(kept * node["Actual Loops"])
    return total
