"""Queries of the office and of the audit trail at scale: each finds its rows by an index, and by the right one."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import asyncpg
import pytest

from gateway.control.audit import store as audit
from gateway.control.catalogue import store as titles
from gateway.control.office import store as office
from tests.integration.control.test_checkout_queries import FILL
from tests.support.plans import all_scans, filling, plan, queries

MORE = """
insert into audit (at, actor, action, object)
    select now() - n * interval '1 second', 'usr_' || n % 5000, 'noun:' || n % 40, 'ttl_' || n % 2000
    from generate_series(1, 40000) n;
insert into login (id, public_id, principal, device, name, expires_at)
    select sha256(n::text::bytea), 'dev_' || n, 'usr_' || n, 'd', 'Firefox', now() from generate_series(1, 5000) n;
insert into assignment select 'usr_' || n, 'support', 'global' from generate_series(1, 5000) n;
update title set state = (array['draft', 'processing', 'ready', 'published', 'archived'])[right(id, 1)::int % 5 + 1];
update title set taken_down_at = now() where id like 'ttl_77%';
update refund set state = 'failed' where id like 'ref_77%';
"""
#: What a query is to find its rows by.
INDEXES = {
    "audit.OF_OBJECT": "audit_object",
    "audit.OF_ACTOR": "audit_actor",
    "audit.OF_ACTION": "audit_action",
    "audit.NEWEST": "audit_at",
    "office.USERS": "account_name",
    "office.OF_BUYER": "purchase_principal",
    "office.OF_TITLE": "purchase_title",
    "office.NOT_PAID": "purchase_not_paid",
    "office.NEWEST": "purchase_at",
    "office.POSTINGS": "txn_key_key",
    "office.REFUNDS": "refund_at",
    "office.REFUNDS_DONE": "refund_at",
    "office.REFUNDS_NOT_DONE": "refund_not_done",
    "office.REFUNDS_OF": "refund_purchase",
    "catalogue.EVERYBODYS": "title_made",
    "catalogue.IN_STATE": "title_(state|made)",  # by whichever is less: a state that is common is met soon by time
    "catalogue.TAKEN_DOWN": "title_taken_down",
    "catalogue.EVERYBODYS_FOUND": "title_search",
}
QUERIES = queries(audit, office, titles)


@pytest.fixture
async def filled(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a platform with tens of thousands of everything."""
    async with filling(database_url, FILL, MORE) as connection:
        yield connection


async def test_every_query_of_the_office_finds_its_rows_by_an_index(filled: asyncpg.Connection) -> None:
    ours = {name: query for name, query in QUERIES.items() if not name.startswith("catalogue.")} | {
        name: QUERIES[name] for name in INDEXES
    }
    assert len(ours) >= 20
    assert await all_scans(filled, ours) == {}


async def test_each_listing_is_read_in_the_order_of_its_own_index(filled: asyncpg.Connection) -> None:
    wrong = {}
    for name, index in INDEXES.items():
        found = await plan(filled, QUERIES[name])
        if not re.search(rf"(Scan|Scan Backward) (using|on) {index}\b", found):
            wrong[name] = found
    assert wrong == {}
