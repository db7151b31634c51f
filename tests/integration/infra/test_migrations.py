"""Migrations on a real Postgres: once however many run them, and all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from infra.migrate import FOLDER, migrate
from infra.stack.postgres import Cluster
from shared.errors import Misconfigured
from tests.support.postgres import ask, cluster, database


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


async def run(url: str, folder: Path) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        return await migrate(connection, folder)
    finally:
        await connection.close()


async def test_each_migration_is_applied_once_when_eight_run_at_once(own: Cluster, tmp_path: Path) -> None:
    (tmp_path / "0001_one.sql").write_text("create table one (n int); insert into one values (1)")
    (tmp_path / "0002_two.sql").write_text("insert into one values (2)")
    async with database(own, migrated=False) as url:
        applied = await asyncio.gather(*(run(url, tmp_path) for _ in range(8)))
        assert sorted(name for names in applied for name in names) == ["0001_one", "0002_two"]
        assert await ask(url, "select sum(n) from one") == 3
        assert await run(url, tmp_path) == []


async def test_failed_migration_leaves_nothing_and_the_next_run_goes_on(own: Cluster, tmp_path: Path) -> None:
    (tmp_path / "0001_one.sql").write_text("create table one (n int)")
    (tmp_path / "0002_two.sql").write_text("insert into one values (1); select nonsense")
    async with database(own, migrated=False) as url:
        with pytest.raises(Misconfigured, match="0002_two failed"):
            await run(url, tmp_path)
        assert await ask(url, "select count(*) from one") == 0
        (tmp_path / "0002_two.sql").write_text("insert into one values (1)")
        assert await run(url, tmp_path) == ["0002_two"]


#: What 0007 said of payments' kinds for a while.
KINDS = "'purchase', 'top_up', 'refund', 'dispute', 'sent', 'received'"
MORE_KINDS = f"\n                  {KINDS}, 'gift_card', 'redeemed'"


async def test_databases_of_either_text_of_the_seventh_are_brought_to_the_newest_schema(
    own: Cluster, tmp_path: Path
) -> None:
    for path in sorted(FOLDER.glob("*.sql"))[:14]:
        (tmp_path / path.name).write_text(path.read_text())
    seventh = tmp_path / "0007_purchases.sql"
    seventh.write_text(seventh.read_text().replace(KINDS, MORE_KINDS))
    checks = "select string_agg(pg_get_constraintdef(oid), ' ' order by conname) from pg_constraint"
    checks += " where conrelid = 'payment'::regclass"
    async with database(own, migrated=False) as url, database(own) as newest:
        await run(url, tmp_path)
        assert (await run(url, FOLDER))[0].startswith("0015")
        found = await ask(url, checks)
        assert "redeemed" in found and found == await ask(newest, checks)


async def test_databases_of_tests_do_not_see_each_other(own: Cluster) -> None:
    async with database(own) as one, database(own) as two:
        await run_sql(one, "create table mine (n int)")
        assert await ask(two, "select to_regclass('mine')::text") is None
        assert await ask(one, "select count(*) from migration") == await ask(two, "select count(*) from migration")


async def run_sql(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
