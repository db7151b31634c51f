"""At 100,000 viewers with 1,000,000 purchases: every query of rights, offers, coupons and cards runs by an index."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from gateway.control.entitlements import store as entitlements
from infra.stack.postgres import Cluster
from tests.support.crowd import QUERIES, VIEWERS, by_no_index, fill
from tests.support.postgres import database

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Pages of 8 KiB that the rule may touch for one viewer and one title, whatever there is besides.
PAGES = 60


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(postgres_cluster: Cluster) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a market that large."""
    async with database(postgres_cluster) as url:
        connection = await asyncpg.connect(url)
        await fill(connection, viewers=VIEWERS)
        yield connection
        await connection.close()


async def test_every_query_finds_its_rows_by_an_index(filled: asyncpg.Connection) -> None:
    assert len(QUERIES) >= 40
    assert await by_no_index(filled) == {}


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
