"""Queries of providers' events and of the sandbox at scale: each finds its rows by an index."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from gateway.control.payees import store as payees
from gateway.control.payments import store as payments
from gateway.control.sandbox import store as sandbox
from tests.support.plans import all_scans, filling, queries

#: 20,000 payments with as many events and notices, nearly all of them done with.
FILL = """
insert into provider_event (source, event_id, kind, provider_ref, at, received_at, due_at, handled_at)
    select 'stripe', 'evt_' || n, 'charge', 'cs_' || n, now(), now(), now(),
        case when n % 1000 = 0 then null else now() - n * interval '1 minute' end
    from generate_series(1, 20000) n;
insert into provider_charge
    select 'stripe', 'cs_' || n, 'pch_' || n, 'paid', 500, 'USD', 45, 'USD', 0, 0, '', now()
    from generate_series(1, 20000) n;
insert into sandbox_payment
    select 'sbx_' || n, 'pch_' || n, '', 500, 'USD', 'A film', '/', false, 'paid', '', 0, 0,
        case when n % 1000 = 0 then 'dispute' else '' end, case when n % 1000 = 0 then now() end
    from generate_series(1, 20000) n;
insert into sandbox_refund select 'k' || n, 'sbx_' || n, 1 from generate_series(1, 5000) n;
insert into seller (id, name, handle, handle_folded)
    select 'slr_' || n, 'x', 'h' || n, 'h' || n from generate_series(1, 5000) n;
insert into payee select 'slr_' || n, 'stripe', 'acct_' || n from generate_series(1, 5000) n;
insert into sandbox_notice
    select 'evt_' || n, 'sbx_' || n, now(), case when n % 1000 = 0 then null else now() - n * interval '1 minute' end
    from generate_series(1, 20000) n;
"""
#: What others begin with.
PARTS = ("payees.READ", "sandbox.READ")
QUERIES = queries(payees, payments, sandbox, but=PARTS)


@pytest.fixture
async def filled(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with tens of thousands of payments."""
    async with filling(database_url, FILL) as connection:
        yield connection


async def test_every_query_finds_its_rows_by_an_index(filled: asyncpg.Connection) -> None:
    assert len(QUERIES) >= 21
    assert await all_scans(filled, QUERIES) == {}
