"""Migrations: numbered .sql files, each applied once and in its own transaction, under an advisory lock."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import msgspec

from shared.errors import Misconfigured

FOLDER = Path(__file__).parent / "migrations"
#: Any fixed number: whoever migrates this database waits for it.
LOCK = 0x75736865
#: By name, the sha256 of another text that a version before this one applied; a later migration makes them one.
EARLIER = {"0007_purchases": "9ceec03a789788f5891cb2c092f22f9e328ef1e935f1d0087b63bb2a06ff01c4"}  # 0018
_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_TABLE = """
CREATE TABLE IF NOT EXISTS migration (
    number integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL, at timestamptz NOT NULL DEFAULT now()
)
"""


class Migration(msgspec.Struct, frozen=True):
    """One file: its number, name and text."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Of the text, so that an applied file which was edited is noticed."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read(folder: Path = FOLDER) -> list[Migration]:
    """All migrations by number. Raises Misconfigured for a wrong name, a gap or a number used twice."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        if not (match := _NAME.fullmatch(path.name)):
            raise Misconfigured(f"{path.name} is no migration's name: expected 0001_words.sql.")
        found.append(Migration(int(match[1]), path.stem, path.read_text()))
    if [m.number for m in found] != list(range(1, len(found) + 1)):
        raise Misconfigured(f"Migrations must be numbered 1, 2, 3 …: {', '.join(m.name for m in found)}.")
    return found


def pending(migrations: Sequence[Migration], applied: dict[int, str]) -> list[Migration]:
    """What is left to do, given number → sha256 of what was done. Raises Misconfigured when history differs."""
    known = {m.number for m in migrations}
    if ahead := sorted(set(applied) - known):
        raise Misconfigured(
            f"The database is ahead of this Usher: it has migration {ahead[-1]:04}. Install a newer one."
        )
    for migration in migrations:
        known_texts = (migration.sha256, EARLIER.get(migration.name))
        if applied.get(migration.number, migration.sha256) not in known_texts:
            raise Misconfigured(f"Migration {migration.name} was edited after it was applied: write a new one instead.")
    return [m for m in migrations if m.number not in applied]


async def migrate(connection: asyncpg.Connection, folder: Path = FOLDER) -> list[str]:
    """Bring the database to the newest schema; returns the names applied now. Safe to run from many at once."""
    migrations = read(folder)
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
    try:
        await connection.execute(_TABLE)
        rows = await connection.fetch("SELECT number, sha256 FROM migration")
        todo = pending(migrations, {row["number"]: row["sha256"] for row in rows})
        for migration in todo:
            await _apply(connection, migration)
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)
    return [migration.name for migration in todo]


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    async with connection.transaction():
        try:
            await connection.execute(migration.sql)
        except asyncpg.PostgresError as error:
            raise Misconfigured(f"Migration {migration.name} failed: {error}") from error
        await connection.execute(
            "INSERT INTO migration (number, name, sha256) VALUES ($1, $2, $3)",
            *(migration.number, migration.name, migration.sha256),
        )
