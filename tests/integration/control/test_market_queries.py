"""At 100,000 viewers with 1,000,000 purchases: every query of rights, offers, coupons and cards runs by an index."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from gateway.control.coupons import store as coupons
from gateway.control.entitlements import store as entitlements
from gateway.control.giftcards import store as giftcards
from gateway.control.offers import store as offers
from gateway.control.referrals import store as referrals
from infra.stack.postgres import Cluster
from tests.support.postgres import database

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Of each viewer ten purchases, of which one lasts, one is for a view, and the others are rentals, most of them over.
FILL = """
insert into seller (id, name, handle, handle_folded) select 'slr_' || n, 's', 's' || n, 's' || n
from generate_series(0, 99) n;
insert into title (id, seller, kind, parent, short_id, short_folded, slug, name, price_minor, state)
select 'ttl_' || n, 'slr_' || n % 100, case when n < 20 then 'series' else 'episode' end,
       case when n >= 20 then 'ttl_' || n % 20 end, n::text, lpad(n::text, 8, 'z'), 't' || n, 't', 499, 'published'
from generate_series(0, 1999) n;
insert into principal (id, kind, sub) select 'usr_' || n, 'registered', 'sub_' || n
from generate_series(0, 99999) n;
insert into account (principal, email, email_folded, username, username_folded, password_hash)
select 'usr_' || n, 'a' || n, 'a' || n, 'a' || n, 'a' || n, '' from generate_series(0, 99999) n;
insert into assignment (principal, role, scope) select 'usr_' || n, 'owner', 'partner:slr_' || n % 100
from generate_series(0, 9999) n;
insert into entitlement (id, principal, scope, kind, source, term, span_s, ends_at, link_at, first_play_at, sid)
select 'ent_' || n, 'usr_' || n % 100000, 'ttl_' || (n / 7) % 2000,
       case when n % 10 = 0 then 'grant' else 'purchase' end, 'pur_' || n,
       case n / 100000 when 0 then 'own' when 1 then 'view' else 'rent' end,
       case when n >= 100000 then 86400 end, case when n >= 100000 then now() - n * interval '1 second' end,
       case when n >= 100000 then now() - n * interval '1 second' end, null,
       case n / 100000 when 1 then 'sid_' || n end
from generate_series(0, 999999) n;
insert into offer (id, scope, seller, kind, hours, amount, currency, active, created_at)
select 'off_' || n, 'ttl_' || n % 2000, 'slr_' || n % 100, case when n % 7 = 0 then 'free' else 'rent' end,
       case when n % 7 > 0 then 24 end, case when n % 7 > 0 then 299 else 0 end, 'USD', n % 5 > 0, now()
from generate_series(0, 19999) n;
insert into offer_version (offer, version, amount, currency, active, actor, at)
select id, 1, amount, currency, active, 'usr_1', created_at from offer;
insert into coupon (id, seller, code, code_folded, kind, bp, created_at)
select 'cpn_' || n, 'slr_' || n % 100, 'C' || n, 'C' || n, 'percent', 1000, now() from generate_series(0, 9999) n;
insert into coupon_use (purchase, coupon, principal, at)
select 'pur_' || n, 'cpn_' || n % 10000, 'usr_' || n % 100000, now() from generate_series(0, 49999) n;
insert into blocked_viewer (seller, principal, created_at)
select 'slr_' || n % 100, 'usr_' || n, now() from generate_series(0, 9999) n;
insert into txn (key, hash, kind) values ('one', '', 'giftcard.buy');
insert into gift_card (id, code_hash, hint, amount, currency, bought_by, bought_txn, created_at)
select 'gft_' || n, decode(md5(n::text), 'hex'), 'abcd', 500, 'USD', 'usr_' || n % 1000, txn.id, now()
from txn, generate_series(0, 9999) n;
insert into referral (principal, code, created_at) select 'usr_' || n, 'code' || n, now()
from generate_series(0, 9999) n;
"""
#: What a table of a million rows is made with afterwards, so that filling it is a matter of seconds.
INDEXES = """
select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as made, c.conname as rule,
       pg_get_constraintdef(c.oid) as said
from pg_index i left join pg_constraint c on c.conindid = i.indexrelid and c.contype in ('p', 'u')
where i.indrelid = 'entitlement'::regclass
"""
FOREIGN = """
select conname as rule, pg_get_constraintdef(oid) as said from pg_constraint
where conrelid = 'entitlement'::regclass and contype = 'f'
"""
#: A handful of rows for good.
SMALL = {"asset", "seller"}
#: Pages of 8 KiB that the rule may touch for one viewer and one title, whatever there is besides.
PAGES = 60
QUERIES = {
    f"{module.__name__.split('.')[-2]}.{name}": text
    for module in (entitlements, offers, coupons, giftcards, referrals)
    for name, text in vars(module).items()
    if name[0] != "_" and isinstance(text, str) and re.match(r"\s*(with|select|update|delete|insert)\s", text)
    if name != "COLUMNS"
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(postgres_cluster: Cluster) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a market that large."""
    async with database(postgres_cluster) as url:
        connection = await asyncpg.connect(url)
        await fill(connection)
        yield connection
        await connection.close()


async def fill(connection: asyncpg.Connection) -> None:
    """Fill it without the indexes of its largest table, and make those anew from what the database says of them."""
    indexes, foreign = await connection.fetch(INDEXES), await connection.fetch(FOREIGN)
    for row in foreign:
        await connection.execute(f"alter table entitlement drop constraint {row['rule']}")
    for row in indexes:
        gone = f"alter table entitlement drop constraint {row['rule']}" if row["rule"] else f"drop index {row['name']}"
        await connection.execute(gone)
    await connection.execute(FILL, timeout=120)
    for row in indexes:
        made = f"alter table entitlement add constraint {row['rule']} {row['said']}" if row["rule"] else row["made"]
        await connection.execute(made, timeout=60)
    await connection.execute("vacuum analyze", timeout=120)


@pytest.mark.parametrize("name", QUERIES)
async def test_query_finds_its_rows_by_an_index(filled: asyncpg.Connection, name: str) -> None:
    query = QUERIES[name]
    count = max((int(number) for number in re.findall(r"\$(\d+)", query)), default=0)
    await filled.execute("set plan_cache_mode = force_generic_plan")
    await filled.execute(f"prepare asked as {query}")
    values = ", ".join(["null"] * count)
    rows = await filled.fetch(f"explain execute asked{f'({values})' if count else ''}")
    await filled.execute("deallocate asked")
    plan = "\n".join(row[0] for row in rows)
    assert set(re.findall(r"Seq Scan on (\w+)", plan)) - SMALL == set(), plan


@pytest.mark.parametrize("viewer", [None, "usr_77777"])
async def test_rule_touches_a_handful_of_pages_whatever_there_is_besides(
    filled: asyncpg.Connection, viewer: str | None
) -> None:
    await filled.execute("set plan_cache_mode = auto")
    asked = "explain (analyze, buffers, format json) " + entitlements.STANDING
    told: Any = await filled.fetchval(asked, "ttl_1511", viewer)
    plan = msgspec.json.decode(told)[0]["Plan"]
    assert 0 < plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] <= PAGES


async def test_rule_finds_what_a_viewer_holds_among_a_million_purchases(filled: asyncpg.Connection) -> None:
    row = await filled.fetchrow("select principal, scope from entitlement where id = 'ent_777777'")
    assert row is not None
    store = entitlements.EntitlementStore(filled)  # type: ignore[arg-type]
    connection: Any = filled
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=str, decoder=lambda text: msgspec.json.decode(text.encode())
    )
    standing = await store.standing(row["scope"], row["principal"])
    assert "ent_777777" in {right.id for right in standing.rights}
    held = await filled.fetchval("select count(*) from entitlement where principal = $1", row["principal"])
    assert held == 10
    assert {right.scope for right in standing.rights} <= {row["scope"], f"ttl_{int(row['scope'][4:]) % 20}"}
