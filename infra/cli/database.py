"""The database as commands read it: directly, whether control runs or not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from gateway.control.db import Begin, Database, open_pool
from gateway.control.wiring import Unit
from infra.cli.session import database_url
from infra.cli.start import NO_DATABASE
from infra.stack import postgres
from shared.errors import Misconfigured


@asynccontextmanager
async def opened(what: str) -> AsyncIterator[Begin[Unit]]:
    """Transactions on the database. Raises Misconfigured when it does not answer, or has no `what` yet."""
    url = database_url()
    try:
        await (await postgres.connect(url, within_s=3)).close()
        pool = await open_pool(url, 1)
    except OSError as error:
        raise Misconfigured(NO_DATABASE) from error
    try:
        yield Database(pool, Unit).begin
    except asyncpg.UndefinedTableError as error:
        raise Misconfigured(f"This database has no {what} yet: run `usher migrate`.") from error
    finally:
        await pool.close()
