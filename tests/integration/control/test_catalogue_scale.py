"""At scale: the queries that everybody asks use their indexes (20,000 titles, rights and jobs)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from gateway.control import outbox
from gateway.control.catalogue import store as titles
from gateway.control.entitlements import store as entitlements
from gateway.control.jobs import store as jobs
from tests.support.control import Control
from tests.support.titles import Desk, desk

FILL = (
    "insert into title (id, seller, kind, short_id, short_folded, slug, name, state, published_at, version, edition) "
    "select 'ttl_' || g, $1, 'video', g::text, lpad(g::text, 8, 'z'), 'film-' || g, 'Film word' || g, "
    "case when g % 10 = 0 then 'draft' else 'published' end, now() - g * interval '1 minute', 'v', 'e' "
    "from generate_series(1, 20000) g",
    "insert into principal (id, kind, sub) select $1 || '_' || g, 'guest', 'sub_' || $1 || g "
    "from generate_series(1, 20000) g",
    "insert into account (principal, email, email_folded, username, username_folded, password_hash) "
    "select $1 || '_' || g, 'a' || g, 'a' || g, 'a' || g, 'a' || g, '' from generate_series(1, 20000) g",
    "insert into entitlement (id, principal, scope, kind, source) "
    "select 'ent_' || g, $1 || '_' || g, 'ttl_' || (g % 500 + 1), 'grant', g::text from generate_series(1, 20000) g",
    "insert into upload (id, title, principal, filename, size_bytes, expires_at, state) "
    "select 'upl_' || g, 'ttl_' || g, $1 || '_1', 'm', 1, now(), case when g % 50 = 0 then 'open' else 'completed' end "
    "from generate_series(1, 20000) g",
    "insert into job (id, title, upload, seller, master, sha256, state, finished_at) "
    "select 'job_' || g, 'ttl_' || g, 'upl_' || g, $1, 'm', 's', case when g % 400 = 0 then 'queued' else 'done' end, "
    "now() from generate_series(1, 20000) g",
    "insert into offer (id, scope, seller, kind, amount, currency, created_at) "
    "select 'off_' || g, 'ttl_' || g, $1, 'own', 100, 'USD', now() from generate_series(1, 20000) g",
    "insert into job_chunk (job, chunk) select 'job_' || g, '0' from generate_series(1, 20000) g where $1 <> ''",
    "insert into revocation (kind, key, iat, at) select 'sub', 'sub_' || g, 1, now() - g * interval '1 minute' "
    "from generate_series(1, 20000) g where $1 <> ''",
    "insert into outbox (id, topic, type, subject, data, relayed_at) select 'evt' || g, 'event', 't', $1, '{}', "
    "case when g > 19900 then null else now() end from generate_series(1, 20000) g",
)


@pytest.fixture
async def scale(control: Control) -> Desk:
    """A seller with 20,000 of everything."""
    seller = await desk(control)
    async with control.wiring["pool"].acquire() as connection:
        for sql in FILL:
            await connection.execute(sql, seller.seller["id"], timeout=60)
        await connection.execute("vacuum analyze", timeout=60)
    return seller


async def plan_of(control: Control, sql: str, values: Sequence[Any]) -> tuple[set[str], set[str]]:
    """The indexes a query uses, and the tables it reads whole."""
    async with control.wiring["pool"].acquire() as connection:
        answer = await connection.fetchval("explain (format json) " + sql, *values)
    nodes, found, whole = list(msgspec.json.decode(answer)), set(), set()
    while nodes:
        node = nodes.pop()
        node = node.get("Plan", node)
        nodes += node.get("Plans", [])
        found |= {node["Index Name"]} if "Index Name" in node else set()
        whole |= {node["Relation Name"]} if node["Node Type"] == "Seq Scan" else set()
    return found, whole


async def test_queries_use_their_indexes_when_tables_are_large(control: Control, scale: Desk) -> None:
    now, seller = control.clock.now(), scale.seller["id"]
    page = (now, now, "x", 25)
    expected: list[tuple[str, tuple[Any, ...], str]] = [
        (titles.TOP, page, "title_shelf"),
        (titles.TOP, (now, None, None, 25), "title_shelf"),
        (titles.SEARCH, (*page, "word77", "", "word77:*"), "title_search"),
        (titles.CHILDREN, (*page, "ttl_7"), "title_parent"),
        (titles.BY_ID, ("ttl_7",), "title_pkey"),
        (titles.BY_SHORT_ID, ("zzzzzzz7",), "title_short_folded_key"),
        (titles.STUDIO, ([seller], now, "x", 25), "title_seller title_made"),  # one seller has them all
        (titles.COUNT_LENGTH, (4,), "title_short_length"),
        (titles.SHORT_ID_TAKEN, ("zzzzzzz7",), "title_short_folded_key"),
        (titles.WAITING_UPLOADS, (["ttl_7", "ttl_8"],), "upload_title"),
        (titles.SOLD_WITH, ("ttl_7", "ttl_8"), "entitlement_scope"),
        (entitlements.VIEWERS, ("ttl_8",), "entitlement_scope"),
        (jobs.BY_ID, ("job_7",), "job_pkey"),
        (jobs.OF_TITLE, ("ttl_7",), "job_title"),
        (jobs.LATEST, (["ttl_7", "ttl_8"],), "job_title"),
        (jobs.OPEN, (), "job_open"),
        (jobs.COUNT, (), "job_open"),
        (jobs.STOPPED, (now,), "job_stopped"),
        (jobs.PIECES, (["job_7"],), "job_chunk_pkey"),
        (outbox.TAKE, (100, "event"), "outbox_waiting"),
        (outbox.WAITING, (), "outbox_waiting"),
        (outbox.SET_ASIDE, ([7], ["words"]), "outbox_pkey"),
        (outbox.ENDED, (["sub"], ["sub_7"]), "revocation_pkey"),
        (outbox.REVOCATIONS, (60.0,), "revocation_at"),
        (outbox.SWEEP_REVOCATIONS, (1e9,), "revocation_at"),
    ]
    for sql, values, index in expected:
        used, whole = await plan_of(control, sql, values)
        assert used & set(index.split()) and not whole - {"seller", "account", "portal"}, (sql, used, whole)
