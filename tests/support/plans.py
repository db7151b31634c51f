"""How Postgres would find rows: the queries of stores, and which tables each of them reads whole."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from types import ModuleType

import asyncpg

_SQL = re.compile(r"\s*(with|select|insert|update|delete)\b")
_PLACE = re.compile(r"\$(\d+)")


def queries(*stores: ModuleType, but: tuple[str, ...] = ()) -> dict[str, str]:
    """All SQL of features' stores as `feature.NAME`; `but`: what reads all for good, or is a part of others alone."""
    found = {
        f"{store.__name__.split('.')[-2]}.{name}": text
        for store in stores
        for name, text in vars(store).items()
        if name[0] != "_" and isinstance(text, str) and _SQL.match(text)
    }
    assert set(but) <= set(found), set(but) - set(found)
    return {name: text for name, text in found.items() if name not in but}


@contextlib.asynccontextmanager
async def filling(url: str, *scripts: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database that was filled, and whose planner knows of it."""
    connection = await asyncpg.connect(url)
    try:
        for script in scripts:
            await connection.execute(script)
        await connection.execute("vacuum analyze")
        yield connection
    finally:
        await connection.close()


async def plan(connection: asyncpg.Connection, query: str) -> str:
    """The plan of a query for values that are not known yet."""
    count = max((int(number) for number in _PLACE.findall(query)), default=0)
    values = f"({', '.join(['null'] * count)})" if count else ""
    await connection.execute("set plan_cache_mode = force_generic_plan")
    await connection.execute(f"prepare asked as {query}")
    rows = await connection.fetch(f"explain execute asked{values}")
    await connection.execute("deallocate asked")
    return "\n".join(row[0] for row in rows)


async def scans(connection: asyncpg.Connection, query: str) -> set[str]:
    """Tables that a query reads whole."""
    return set(re.findall(r"Seq Scan on (\w+)", await plan(connection, query)))


async def all_scans(connection: asyncpg.Connection, asked: dict[str, str]) -> dict[str, set[str]]:
    """Those queries that read tables whole, with the tables; their plans are printed, for a test that fails by them."""
    found = {}
    for name, query in asked.items():
        if tables := await scans(connection, query):
            found[name] = tables
            print(f"{name}\n{await plan(connection, query)}\n")
    return found
