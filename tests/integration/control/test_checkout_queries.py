"""Queries of purchases and wallets at scale: each finds its rows by an index."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from gateway.control.checkout import store as checkout
from gateway.control.payouts import store as payouts
from gateway.control.reconciliation import store as reconciliation
from gateway.control.wallet import store as wallet
from tests.support.plans import all_scans, filling, queries

#: 20,000 purchases of 5,000 viewers among 100 titles of 50 sellers, with their parts, payments, refunds, withdrawals.
FILL = """
insert into principal (id, kind, sub) select 'usr_' || n, 'registered', 'sub_' || n from generate_series(1, 5000) n;
insert into account (principal, email, email_folded, username, username_folded, password_hash)
    select 'usr_' || n, n || '@e', n || '@e', 'u' || n, 'u' || n, '' from generate_series(1, 5000) n;
insert into seller (id, name, handle, handle_folded)
    select 'slr_' || n, 'S' || n, 's' || n, 's' || n from generate_series(1, 2000) n;
insert into title (id, seller, kind, short_id, short_folded, slug, name)
    select 'ttl_' || n, 'slr_' || n, 'video', 's' || n, 's' || n, 't' || n, 'T' || n from generate_series(1, 2000) n;
insert into offer (id, scope, seller, kind, amount, currency, created_at)
    select 'off_' || n, 'ttl_' || n, 'slr_' || n, 'own', 500, 'USD', now() from generate_series(1, 2000) n;
insert into title_partner (title, seller, share_bp)
    select 'ttl_' || n, 'slr_' || n % 2000 + 1, 100 from generate_series(1, 2000) n;
insert into txn (key, hash, kind) select 'key_' || n, '', 'sale' from generate_series(1, 10000) n;
insert into ledger_account (code, asset, kind, cached, side)
    select 'wallet:usr_' || n, 'USD', 'wallet', true, 'credit' from generate_series(1, 5000) n;
insert into purchase (id, key, kind, principal, viewer, scope, title, seller, offer, offer_version, amount, currency,
        rail, state, provider_ref, legal_entity, fee_bp, created_at, expires_at, look_at, paid_at, settle_at,
        settled_at)
    select 'pur_' || n, 'k' || n, 'title', 'usr_' || n % 5000 + 1, 'usr_' || n % 5000 + 1, 'ttl_' || n / 3 % 2000 + 1,
        'ttl_' || n / 3 % 2000 + 1, 'slr_' || n % 2000 + 1, 'off_' || n % 2000 + 1, 1, 500, 'USD', 'sandbox',
        case when n % 100 = 0 then 'new' else 'paid' end, 'ref_' || n, 'usher', 1000, now() - n * interval '1 minute',
        now(), case when n % 100 = 0 then now() + n * interval '1 second' end, case when n % 100 > 0 then now() end,
        case when n % 100 > 0 then now() + n * interval '1 minute' end, case when n % 50 > 0 then now() end
    from generate_series(1, 20000) n;
insert into purchase_part (purchase, n, kind, holder, amount)
    select 'pur_' || n, part, case part when 0 then 'fee' else 'earnings' end, 'slr_1', 250
    from generate_series(1, 20000) n, generate_series(0, 1) part;
insert into refund (id, purchase, amount, currency, reason, actor, state, txn, created_at, next_try_at)
    select 'ref_' || n, 'pur_' || n, 1, 'USD', '', '', case when n % 100 = 0 then 'asked' else 'done' end,
        (select min(id) from txn) + n % 10000, now(), now() + n * interval '1 second' from generate_series(1, 10000) n;
insert into reversal (id, purchase, amount, state, created_at, next_try_at)
    select 'rev_' || n, 'pur_' || n, 1, case when n % 100 = 0 then 'asked' else 'done' end, now(),
        now() + n * interval '1 second' from generate_series(1, 10000) n;
insert into payment (principal, kind, amount, currency, rail, purchase, title, at)
    select 'usr_' || n % 5000 + 1, 'purchase', -500, 'USD', 'wallet', 'pur_' || n, 'ttl_' || n % 2000 + 1, now()
    from generate_series(1, 20000) n;
insert into withdrawal (id, key, seller, principal, amount, currency, rail, state, due_at, created_at)
    select 'wdr_' || n, 'w' || n, 'slr_' || n % 2000 + 1, 'usr_1', 5000, 'USD', 'bank',
        case when n % 100 = 0 then 'requested' else 'paid' end, now(), now() - n * interval '1 minute'
    from generate_series(1, 20000) n;
insert into payout_run (id, rail, currency, by_hand, day, created_at, closed_at)
    select 'run_' || n, 'bank', 'USD', true, '2026-01-01'::date + n, now() + n * interval '1 day',
        case when n > 10 then now() end from generate_series(1, 5000) n;
update withdrawal set run = 'run_' || (substr(id, 5)::integer % 5000 + 1) where state = 'paid';
insert into recon_report (id, actor, day, since, until, state, created_at, next_try_at, finished_at)
    select 'rec_' || n, 'worker', '2026-01-01'::date + n, now() - interval '1 day', now(),
        case when n > 10 then 'done' else 'asked' end, now() + n * interval '1 day', now(), now()
    from generate_series(1, 5000) n;
insert into posting (txn, account, asset, amount, provider_ref)
    select t.id, a.id, 'USD', sign.amount, 'ref_' || t.id
    from (select id from txn order by id limit 5000) t, (select id from ledger_account limit 1) a,
        (values (5), (-5)) sign (amount);
insert into entitlement (id, principal, scope, kind, source)
    select 'ent_' || n, 'usr_' || n % 5000 + 1, 'ttl_' || n % 2000 + 1, 'purchase', 'pur_' || n
    from generate_series(1, 10000) n;
insert into money_shown (principal, currency) select 'usr_' || n, 'IDR' from generate_series(1, 5000) n;
insert into payout_policy (rail, currency, minimum, hold_days, auto_up_to, updated_at)
    select 'rail_' || n, 'USD', 5000, 3, 0, now() from generate_series(1, 5000) n;
"""
#: All terms are listed as a whole.
QUERIES = queries(checkout, wallet, payouts, reconciliation, but=("wallet.POLICIES",))


@pytest.fixture
async def filled(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a market with tens of thousands of purchases."""
    async with filling(database_url, FILL) as connection:
        yield connection


async def test_every_query_finds_its_rows_by_an_index(filled: asyncpg.Connection) -> None:
    assert len(QUERIES) >= 30
    assert {name: found for name, found in (await all_scans(filled, QUERIES)).items() if found != {"asset"}} == {}
