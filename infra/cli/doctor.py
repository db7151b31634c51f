"""`usher doctor`: what this machine has, what is missing, and the line that mends it."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping

import asyncpg
import msgspec
from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Table

from infra import ffmpeg, vendor
from infra.cli.session import home
from infra.stack import plan, postgres, valkey
from infra.stack.probe import is_free
from shared.errors import Misconfigured, UsherError
from shared.settings import Common, load, variable

LOWEST_POSTGRES, LOWEST_REDIS = 150000, (7, 0)
ROOM_BYTES = 2 << 30


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at: `mend` is empty when it is well."""

    what: str
    words: str
    mend: str = ""


def run(_: argparse.Namespace) -> int:
    """Look at everything; status 1 when something is missing."""
    findings = [look(os.environ) for look in LOOKS]
    table = Table(show_header=False, box=None)
    for finding in findings:
        table.add_row("[red]missing" if finding.mend else "[green]ok", f"[bold]{finding.what}", finding.words)
        if finding.mend:
            table.add_row("", "", f"[yellow]{finding.mend}")
    Console(highlight=False, soft_wrap=True).print(table)
    return 1 if any(finding.mend for finding in findings) else 0


def python(_: Mapping[str, str]) -> Finding:
    """Python 3.11-3.13."""
    words = f"{sys.version_info.major}.{sys.version_info.minor} at {sys.executable}"
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding("Python", words, "" if fits else "install Python 3.11, 3.12 or 3.13 and run `make run` again")


def video(environ: Mapping[str, str]) -> Finding:
    """An ffmpeg that encodes H.264 and AAC."""
    try:
        program = ffmpeg.find(environ)
    except Misconfigured as error:
        return Finding("ffmpeg", str(error), "apt install ffmpeg  ·  or set USHER_FFMPEG")
    if not (named := ffmpeg.build(program)):
        return Finding(
            "ffmpeg", f"{program} does not run", "apt install ffmpeg  ·  or set USHER_FFMPEG to one that does"
        )
    words = f"{named} at {program}"
    listed = subprocess.run([program, "-hide_banner", "-encoders"], capture_output=True, text=True).stdout
    lacking = [name for name in ("libx264", "aac") if f" {name} " not in listed]
    mend = f"this build lacks {', '.join(lacking)}: set USHER_FFMPEG to one that has them" if lacking else ""
    return Finding("ffmpeg", words, mend)


def database(environ: Mapping[str, str]) -> Finding:
    """One's own Postgres, or the embedded one and somebody to run it as."""
    if url := environ.get(variable("database_url")):
        try:
            number = asyncio.run(_postgres_version(url))
        except (OSError, asyncpg.PostgresError, ValueError) as error:
            return Finding("Postgres", f"{_host(url)}: {error}", "start it, or correct USHER_DATABASE_URL")
        old = "Usher needs Postgres 15 or newer" if number < LOWEST_POSTGRES else ""
        return Finding("Postgres", f"{number // 10000}.{number % 10000} at {_host(url)}", old)
    home().make()
    try:
        who = postgres.identity(postgres.binaries(), home().folder)
    except Misconfigured as error:
        return Finding("Postgres", str(error), "run as a normal user  ·  or set USHER_DATABASE_URL")
    return Finding("Postgres", f"embedded, as {who.user or ('a user namespace' if who.prefix else 'this user')}")


async def _postgres_version(url: str) -> int:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return int(await connection.fetchval("SHOW server_version_num"))
    finally:
        await connection.close()


def cache(environ: Mapping[str, str]) -> Finding:
    """One's own Redis, or the embedded Valkey."""
    if url := environ.get(variable("redis_url")):
        try:
            said = asyncio.run(_redis_version(url))
        except (OSError, RedisError, ValueError) as error:
            return Finding("Redis", f"{_host(url)}: {error}", "start it, or correct USHER_REDIS_URL")
        old = tuple(int(part) for part in said.split(".")[:2]) < LOWEST_REDIS
        return Finding("Redis", f"{said} at {_host(url)}", "Usher needs Redis 7.0 or Valkey" if old else "")
    try:
        valkey.binary()
    except Misconfigured as error:
        return Finding("Redis", str(error), "make run  ·  or set USHER_REDIS_URL")
    return Finding("Redis", "embedded Valkey")


async def _redis_version(url: str) -> str:
    from redis.asyncio import Redis

    client: Redis = Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)
    try:
        return str((await client.info("server"))["redis_version"])
    finally:
        await client.aclose()


def bucket(environ: Mapping[str, str]) -> Finding:
    """The bucket answers and puts on condition."""
    where = environ.get(variable("bucket")) or str(home().folder / "bucket")
    try:
        asyncio.run(_check_bucket({**environ, variable("bucket"): where}))
    except UsherError as error:
        return Finding("Bucket", f"{where}: {error}", "use a folder, AWS S3, or a store with If-None-Match on PUT")
    return Finding("Bucket", f"{where}, puts on condition")


async def _check_bucket(environ: Mapping[str, str]) -> None:
    from shared.storage import open_bucket

    opened = open_bucket(load(Common, environ))
    try:
        await opened.check()
    finally:
        await opened.close()


def pages(_: Mapping[str, str]) -> Finding:
    """The pages' third-party files."""
    there = vendor.is_there(plan.ROOT)
    words = "there, as the lock says" if there else "not fetched, or of another lock"
    return Finding("Front-end files", words, "" if there else "make run")


def ports(environ: Mapping[str, str]) -> Finding:
    """The ports of a run are free, or it is we who run."""
    base = plan.port_base(environ)
    wanted = [base + offset for offset in (*plan.OFFSETS.values(), *plan.PRIVATE_OFFSETS.values())]
    taken = [port for port in wanted if not is_free(port)]
    if not taken or _we_run():
        return Finding("Ports", f"{base} and up" + (", used by the running Usher" if taken else ", free"))
    return Finding("Ports", f"in use: {', '.join(map(str, taken))}", f"USHER_PORT_BASE={base + 100} make run")


def _we_run() -> bool:
    try:
        home().make()
        with home().locked():
            return False
    except Misconfigured:
        return True


def room(_: Mapping[str, str]) -> Finding:
    """Space for masters and what is made of them."""
    home().make()
    free = shutil.disk_usage(home().folder).free
    words = f"{free / (1 << 30):.1f} GiB free for {home().folder}"
    return Finding("Disk", words, "" if free >= ROOM_BYTES else "make room, or set USHER_HOME to a larger disk")


LOOKS: tuple[Callable[[Mapping[str, str]], Finding], ...] = (
    *(python, video, database, cache, bucket, pages, ports, room),
)


def _host(url: str) -> str:
    """A server's address without its password."""
    return url.rpartition("@")[2].partition("/")[0] if "@" in url else url.partition("://")[2].partition("/")[0]
