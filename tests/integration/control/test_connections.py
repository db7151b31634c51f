"""Connections of the pool: lent with nothing left on them, although nobody cleans them on their way back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from gateway.control.db import Database, open_pool
from gateway.control.wiring import Unit
from gateway.control.worker import turns
from shared.errors import Unavailable
from tests.support.patience import until

WHAT = 99
#: The two steps of a turn, slow once they have done what they do, or before it.
SLOW = {
    "HOLD": "select pg_try_advisory_lock($1, 0) and pg_sleep(5)::text = ''",
    "LEAVE": "select pg_sleep(5)::text = '' and pg_advisory_unlock($1, 0)",
}
HELD = "select count(*) from pg_locks where locktype = 'advisory' and classid = $1"
ASLEEP = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool of one connection."""
    made = await open_pool(database_url, 1)
    yield made
    await made.close()


async def test_transaction_asks_no_more_than_its_begin_its_own_and_its_end(pool: asyncpg.Pool) -> None:
    asked: list[str] = []
    async with pool.acquire() as connection:
        connection.add_query_logger(lambda query: asked.append(query.query))
    begin = Database(pool, Unit).begin
    async with begin() as unit:
        await unit.connection.fetchval("select 1")
    with pytest.raises(ZeroDivisionError):
        async with begin():
            raise ZeroDivisionError
    async with begin() as unit:
        assert await unit.connection.fetchval("select 2") == 2
    assert asked == ["BEGIN;", "select 1", "COMMIT;", "BEGIN;", "ROLLBACK;", "BEGIN;", "select 2", "COMMIT;"]


async def test_open_transaction_is_rolled_back_before_anybody_else_has_its_connection(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await connection.execute("begin; set local lock_timeout = 7; create table left_over ()")
    async with pool.acquire() as connection:
        assert await connection.fetchval("select to_regclass('left_over') is null")
        assert await connection.fetchval("show lock_timeout") == "0"
        assert not connection.is_in_transaction()


async def test_connection_lost_while_nobody_had_it_is_told_as_that_and_replaced(
    pool: asyncpg.Pool, database_url: str
) -> None:
    begin = Database(pool, Unit).begin
    async with begin() as unit:
        process = await unit.connection.fetchval("select pg_backend_pid()")
    other = await asyncpg.connect(database_url)
    await other.execute("select pg_terminate_backend($1)", process)
    await other.close()

    async def answered() -> int | None:
        try:
            async with begin() as unit:
                return int(await unit.connection.fetchval("select pg_backend_pid()"))
        except Unavailable:
            return None

    assert await until(answered) != process


@pytest.mark.parametrize("step", sorted(SLOW))
async def test_turn_is_free_again_when_nobody_heard_how_its_step_ended(
    pool: asyncpg.Pool, database_url: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(turns, step, SLOW[step])

    async def have_a_turn() -> None:
        async with turns.turn(pool, WHAT) as mine:
            assert mine

    cut = asyncio.create_task(have_a_turn())
    other = await open_pool(database_url, 1)

    async def held() -> bool | None:
        async with other.acquire() as connection:
            return bool(await connection.fetchval(HELD, WHAT)) or None

    await until(held)
    if step == "LEAVE":  # until it is at that step
        await until(lambda: _asleep(other))
    cut.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cut
    monkeypatch.undo()

    async def free() -> bool | None:
        async with turns.turn(other, WHAT) as mine:
            return mine or None

    assert await until(free)
    async with turns.turn(pool, WHAT) as mine:
        assert mine
    await other.close()


async def _asleep(pool: asyncpg.Pool) -> bool | None:
    async with pool.acquire() as connection:
        return bool(await connection.fetchval(ASLEEP)) or None
