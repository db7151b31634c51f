"""A real Postgres for tests: one cluster a session, one database a test, cloned from a migrated template."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from infra.migrate import migrate
from infra.stack import postgres
from infra.stack.child import become, own_session
from infra.stack.postgres import Cluster
from tests.support.patience import until
from tests.support.ports import free_base

TEMPLATE = "template_usher"
#: Where files lie in memory, and what a cluster may need of it: a database a test is made and dropped three times as
#: quickly there.
MEMORY, ROOM_BYTES = Path("/dev/shm"), 2 << 30  # noqa: S108 - a folder of our own is made in it

#: Rows for those who wait for somebody's lock, whoever.
WAITING = "select 1 as one from pg_locks where not granted"
#: Asks the database of a test.
Rows = Callable[[str], Awaitable[Sequence[Any]]]


async def met(rows: Rows, other: asyncio.Task[Any]) -> None:
    """Until somebody is done, or anybody waits for a lock."""

    async def is_met() -> bool:
        return other.done() or bool(await rows(WAITING))

    await until(is_met, within_s=60)


@contextlib.contextmanager
def cluster(*, settings: tuple[str, ...] = postgres.UNSAFE) -> Iterator[Cluster]:
    """A running cluster with a migrated template, gone at the end; it keeps nothing unless `settings` say so."""
    folder = Path(tempfile.mkdtemp(prefix="usher-postgres-", dir=_memory() if settings == postgres.UNSAFE else None))
    # Postgres may run as another user than root.
    folder.chmod(0o711)
    made = Cluster(
        folder=folder / "data",
        port=free_base(1),
        admin_password="admin",
        password="usher",
        settings=settings,
    )
    bin_folder = postgres.binaries()
    who = postgres.identity(bin_folder, folder)
    postgres.make(made, bin_folder, who)
    spec = postgres.spec(made, bin_folder, who=who, environ=dict(os.environ))
    with (folder / "log").open("ab") as log:
        server = subprocess.Popen(
            spec.argv,
            cwd=spec.cwd,
            stdout=log,
            stderr=log,
            **become(spec.user),
            preexec_fn=own_session(os.getpid(), spec.stop_signal),
        )
    try:
        asyncio.run(_make_template(made))
        yield made
    finally:
        server.send_signal(spec.stop_signal)
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _memory() -> Path | None:
    """A folder in memory, where there is room."""
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM_BYTES else None


async def _make_template(made: Cluster) -> None:
    await postgres.make_database(made)
    async with _connected(made.url) as connection:
        await connection.execute(f"CREATE DATABASE {TEMPLATE}")
    async with _connected(_url(made, TEMPLATE)) as connection:
        await migrate(connection)


@contextlib.asynccontextmanager
async def database(made: Cluster, *, migrated: bool = True) -> AsyncIterator[str]:
    """The address of a database of the test's own, dropped after it. An empty one when not `migrated`."""
    name = f"test_{secrets.token_hex(6)}"
    template = TEMPLATE if migrated else "template1"
    async with _connected(made.url) as connection:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield _url(made, name)
        finally:
            await _drop(connection, name)


async def _drop(connection: asyncpg.Connection, name: str) -> None:
    """Drop a database with all who use it; Postgres' own workers, which nobody may end, leave by themselves."""
    for wait_s in (0.2, 0.5, 1.0, 2.0, 5.0, 0.0):
        try:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            return
        except asyncpg.InsufficientPrivilegeError:
            if not wait_s:
                raise
            await asyncio.sleep(wait_s)


async def ask(url: str, question: str, *values: object) -> object:
    """The one value that a query gives."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(question, *values)
    finally:
        await connection.close()


async def run(url: str, script: str) -> None:
    """Statements one after the other, in one transaction."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(script)
    finally:
        await connection.close()


def _url(made: Cluster, name: str) -> str:
    return urlsplit(made.url)._replace(path=f"/{name}").geturl()


@contextlib.asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await postgres.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
