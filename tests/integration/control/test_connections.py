"""Connections of the pool: lent with nothing left on them, although nobody cleans them on their way back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

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


def end_unseen(url: str, processes: list[int]) -> None:
    """Ends connections while this loop stands still, so that nothing tells it."""

    async def end() -> None:
        other = await asyncpg.connect(url)
        await other.execute("select pg_terminate_backend(pid, 60000) from unnest($1::int[]) pid", processes)
        await other.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, end()).result()


async def test_connections_lost_while_nobody_had_them_are_passed_over(database_url: str) -> None:
    made = await open_pool(database_url, 3)
    begin, met = Database(made, Unit).begin, asyncio.Barrier(3)

    async def process(*, together: bool = True) -> int:
        async with begin() as unit:
            if together:
                await met.wait()
            return int(await unit.connection.fetchval("select pg_backend_pid()"))

    lost = await asyncio.gather(*(process() for _ in range(3)))
    assert len(set(lost)) == 3
    end_unseen(database_url, lost)
    assert await process(together=False) not in lost
    await made.close()


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_connection_that_ended_in_a_transaction_is_lent_to_nobody_again(
    pool: asyncpg.Pool, database_url: str, number: int
) -> None:
    begin = Database(pool, Unit).begin
    with pytest.raises(Unavailable):
        async with begin() as unit:
            process = await unit.connection.fetchval("select pg_backend_pid()")
            end_unseen(database_url, [process])
            for _ in range(number):
                with suppress(asyncpg.PostgresError, asyncpg.InterfaceError):
                    await unit.connection.execute("select 1")
    async with begin() as unit:
        assert await unit.connection.fetchval("select pg_backend_pid()") != process


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
