"""A market for so many viewers and ten times as many purchases: for asking whether queries find their rows."""

from __future__ import annotations

import asyncpg

from gateway.control.coupons import store as coupons
from gateway.control.entitlements import store as entitlements
from gateway.control.giftcards import store as giftcards
from gateway.control.offers import store as offers
from gateway.control.referrals import store as referrals
from tests.support.plans import all_scans, queries

#: What is asked of such a market.
QUERIES = queries(entitlements, offers, coupons, giftcards, referrals, but=("offers.COLUMNS", "coupons.COLUMNS"))
#: So few here that they are rightly read whole.
FEW = {"asset", "seller"}
#: What `make test` asks among; the bench asks among ten times as many.
VIEWERS = 100_000
#: Of each viewer ten purchases, of which one lasts, one is for a view, and the others are rentals, most of them over.
FILL = """
insert into seller (id, name, handle, handle_folded) select 'slr_' || n, 's', 's' || n, 's' || n
from generate_series(0, 99) n;
insert into title (id, seller, kind, parent, short_id, short_folded, slug, name, price_minor, state)
select 'ttl_' || n, 'slr_' || n % 100, case when n < 20 then 'series' else 'episode' end,
       case when n >= 20 then 'ttl_' || n % 20 end, n::text, lpad(n::text, 8, 'z'), 't' || n, 't', 499, 'published'
from generate_series(0, 1999) n;
insert into principal (id, kind, sub) select 'usr_' || n, 'registered', 'sub_' || n
from generate_series(0, {viewers} - 1) n;
insert into account (principal, email, email_folded, username, username_folded, password_hash)
select 'usr_' || n, 'a' || n, 'a' || n, 'a' || n, 'a' || n, '' from generate_series(0, {viewers} - 1) n;
insert into assignment (principal, role, scope) select 'usr_' || n, 'owner', 'partner:slr_' || n % 100
from generate_series(0, least(10000, {viewers}) - 1) n;
insert into entitlement (id, principal, scope, kind, source, term, span_s, ends_at, link_at, first_play_at, sid)
select 'ent_' || n, 'usr_' || n % {viewers}, 'ttl_' || (n / 7) % 2000,
       case when n % 10 = 0 then 'grant' else 'purchase' end, 'pur_' || n,
       case n / {viewers} when 0 then 'own' when 1 then 'view' else 'rent' end,
       case when n >= {viewers} then 86400 end,
       case when n >= {viewers} then now() - n % 1000000 * interval '1 second' end,
       case when n >= {viewers} then now() - n % 1000000 * interval '1 second' end, null,
       case n / {viewers} when 1 then 'sid_' || n end
from generate_series(0, 10::bigint * {viewers} - 1) n;
insert into offer (id, scope, seller, kind, hours, amount, currency, active, created_at)
select 'off_' || n, 'ttl_' || n % 2000, 'slr_' || n % 100, case when n % 7 = 0 then 'free' else 'rent' end,
       case when n % 7 > 0 then 24 end, case when n % 7 > 0 then 299 else 0 end, 'USD', n % 5 > 0, now()
from generate_series(0, 19999) n;
insert into offer_version (offer, version, amount, currency, active, actor, at)
select id, 1, amount, currency, active, 'usr_1', created_at from offer;
insert into coupon (id, seller, code, code_folded, kind, bp, created_at)
select 'cpn_' || n, 'slr_' || n % 100, 'C' || n, 'C' || n, 'percent', 1000, now() from generate_series(0, 9999) n;
insert into coupon_use (purchase, coupon, principal, at)
select 'pur_' || n, 'cpn_' || n % 10000, 'usr_' || n % {viewers}, now() from generate_series(0, 49999) n;
insert into purchase (id, key, kind, principal, viewer, scope, title, seller, offer, offer_version, coupon, amount,
                      currency, rail, state, return_url, legal_entity, fee_bp, created_at, expires_at, paid_at)
select u.purchase, u.purchase, 'title', u.principal, u.principal, o.scope, o.scope, o.seller, o.id, 1, u.coupon, 269,
       'USD', 'wallet', 'paid', '', 'usher', 1000, u.at, u.at, u.at
from generate_series(0, 9999) n join coupon_use u on u.purchase = 'pur_' || n join offer o on o.id = 'off_' || n;
insert into blocked_viewer (seller, principal, created_at)
select 'slr_' || n % 100, 'usr_' || n, now() from generate_series(0, least(10000, {viewers}) - 1) n;
insert into txn (key, hash, kind) values ('one', '', 'giftcard.buy');
insert into gift_card (id, code_hash, hint, amount, currency, bought_by, bought_txn, created_at)
select 'gft_' || n, decode(md5(n::text), 'hex'), 'abcd', 500, 'USD', 'usr_' || n % 1000, txn.id, now()
from txn, generate_series(0, 9999) n;
insert into referral (principal, code, created_at) select 'usr_' || n, 'code' || n, now()
from generate_series(0, least(10000, {viewers}) - 1) n;
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


async def fill(connection: asyncpg.Connection, *, viewers: int, timeout_s: float = 120) -> None:
    """Fill a migrated database, without the indexes of its largest table: those are made anew afterwards.

    As the database's owner, who may drop what says nothing about reading: the largest table's foreign keys.
    """
    indexes, foreign = await connection.fetch(INDEXES), await connection.fetch(FOREIGN)
    for row in foreign:
        await connection.execute(f"alter table entitlement drop constraint {row['rule']}")
    for row in indexes:
        gone = f"alter table entitlement drop constraint {row['rule']}" if row["rule"] else f"drop index {row['name']}"
        await connection.execute(gone)
    await connection.execute(FILL.format(viewers=viewers), timeout=timeout_s)
    for row in indexes:
        made = f"alter table entitlement add constraint {row['rule']} {row['said']}" if row["rule"] else row["made"]
        await connection.execute(made, timeout=timeout_s)
    await connection.execute("vacuum analyze", timeout=timeout_s)


async def by_no_index(connection: asyncpg.Connection) -> dict[str, set[str]]:
    """Those of the queries that read tables whole, with the tables."""
    found = await all_scans(connection, QUERIES)
    return {name: tables - FEW for name, tables in found.items() if tables - FEW}
