"""Queries of accounts, sellers, portal and screenings at scale: each finds its rows by an index."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import asyncpg
import pytest

from gateway.control.accounts import store as accounts
from gateway.control.portal import store as portal
from gateway.control.screenings import store as screenings
from gateway.control.sellers import store as sellers
from tests.support.plans import queries

FILL = """
insert into principal (id, kind, sub) select 'usr_' || n, 'registered', 'sub_' || n from generate_series(1, 5000) n;
insert into account select 'usr_' || n, n || '@example.org', n || '@example.org', 'u' || n, 'u' || n, 'hash'
    from generate_series(1, 5000) n;
insert into login (id, public_id, principal, device, name, expires_at)
    select sha256(n::text::bytea), 'dev_' || n, 'usr_' || n, 'd' || n, 'Firefox', now() + n * interval '1 minute'
    from generate_series(1, 5000) n;
insert into password_reset select sha256(n::text::bytea), 'usr_' || n, now() + n * interval '1 minute'
    from generate_series(1, 5000) n;
insert into seller select 'slr_' || n, 'Seller', 'h' || n, 'h' || n from generate_series(1, 5000) n;
insert into assignment select 'usr_' || n, 'owner', 'partner:slr_' || n from generate_series(1, 5000) n;
insert into assignment select 'usr_' || n, 'editor', 'partner:slr_' || (n + 1) from generate_series(1, 1000) n;
insert into title (id, seller, kind, short_id, short_folded, slug, name)
    select 'ttl_' || n, 'slr_' || n, 'video', n, n, n, 'A' from generate_series(1, 5000) n;
insert into upload (id, title, principal, filename, size_bytes, expires_at)
    select 'upl_' || n, 'ttl_' || n, 'usr_' || n, 'a', 1, now() from generate_series(1, 5000) n;
insert into entitlement (id, principal, scope, kind, source)
    select 'ent_' || n, 'usr_' || n, 'ttl_' || n, 'grant', n from generate_series(1, 5000) n;
insert into referral (principal, code, created_at) select 'usr_' || n, n, now() from generate_series(1, 5000) n;
insert into coupon (id, seller, code, code_folded, kind, bp, created_at)
    select 'cpn_' || n, 'slr_' || n, n, n, 'percent', 100, now() from generate_series(1, 5000) n;
insert into coupon_use select 'pur_' || n, 'cpn_' || n, 'usr_' || n, now() from generate_series(1, 5000) n;
insert into txn (key, hash, kind) select n, '', 'x' from generate_series(1, 5000) n;
insert into gift_card (id, code_hash, hint, amount, currency, bought_by, bought_txn, created_at)
    select 'gft_' || n, n::text::bytea, n, 1, 'USD', 'usr_' || n, (select min(id) from txn), now()
    from generate_series(1, 5000) n;
insert into purchase (
        id, key, kind, principal, viewer, amount, currency, rail, legal_entity, fee_bp, created_at, expires_at)
    select 'pur_' || n, n, 'top_up', 'usr_' || n, 'usr_' || n, 1, 'USD', 'sandbox', 'x', 0, now(), now()
    from generate_series(1, 5000) n;
update purchase set state = 'disputed', paid_at = now() where substr(id, 5)::integer % 100 = 0;
insert into purchase_part (purchase, n, kind, holder, amount, back)
    select 'pur_' || n, 0, 'earnings', 'slr_' || n, 1, 1 from generate_series(1, 5000) n;
insert into provider_charge (source, provider_ref, order_id, state, amount, currency, fee, fee_currency, refunded,
        disputed, words, seen_at)
    select 'sandbox', n, 'pur_' || n, 'paid', 1, 'USD', 0, 'USD', 0, 1, '', now() from generate_series(1, 5000) n;
insert into title_partner select 'ttl_' || n, 'slr_' || n % 5000 + 1, 100 from generate_series(1, 5000) n;
insert into payment (principal, kind, amount, currency, rail, at)
    select 'usr_' || n, 'top_up', 1, 'USD', 'sandbox', now() from generate_series(1, 5000) n;
insert into ledger_account (code, asset, kind, cached, side)
    select 'wallet:usr_' || n, 'USD', 'wallet', true, 'credit' from generate_series(1, 5000) n;
insert into blocked_viewer select 'slr_' || n, 'usr_' || n, now() from generate_series(1, 5000) n;
insert into mail (id, key, kind, principal, data, state, created_at, done_at)
    select 'mail_' || n, n, 'receipt', 'usr_' || n, '{}', 'sent', now(), now() from generate_series(1, 5000) n;
insert into audit (actor, action, object) select 'usr_' || n, 'x', 'y' from generate_series(1, 5000) n;
insert into watched_day select 'usr_' || n, 'ttl_' || n, '2026-01-01', 1 from generate_series(1, 5000) n;
insert into watched_segments (principal, title, version)
    select 'usr_' || n, 'ttl_' || n, 'v' from generate_series(1, 5000) n;
insert into watching (principal, title, seen_at) select 'usr_' || n, 'ttl_' || n, now() from generate_series(1, 5000) n;
insert into screening (sid, principal, title, created_at, ends_at)
    select n, 'usr_' || n, 'ttl_' || n, now(), now() + n * interval '1 minute' from generate_series(1, 5000) n;
analyze;
"""
#: Tables that are small for good.
SMALL = {"portal", "flag"}
QUERIES = queries(accounts, sellers, portal, screenings, but=("screenings.COLUMNS",)) | accounts.PERSON


@pytest.fixture
async def filled(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with thousands of everything."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(FILL)
    yield connection
    await connection.close()


async def test_every_query_finds_its_rows_by_an_index(filled: asyncpg.Connection) -> None:
    assert len(QUERIES) > 35
    for name, query in QUERIES.items():
        plan = await _plan(filled, query, sweep="SWEEP" in name)
        scanned = set(re.findall(r"Seq Scan on (\w+)", plan)) - SMALL
        assert not scanned, f"{name}\n{plan}"


async def _plan(connection: asyncpg.Connection, query: str, *, sweep: bool) -> str:
    """The plan for values not known yet; what sweeps is planned for now, when little is over."""
    count = max((int(number) for number in re.findall(r"\$(\d+)", query)), default=0)
    values = ", ".join(["now()" if sweep else "null"] * count)
    await connection.execute(f"set plan_cache_mode = force_{'custom' if sweep else 'generic'}_plan")
    await connection.execute(f"prepare asked as {query}")
    rows = await connection.fetch(f"explain execute asked{f'({values})' if count else ''}")
    await connection.execute("deallocate asked")
    return "\n".join(row[0] for row in rows)
