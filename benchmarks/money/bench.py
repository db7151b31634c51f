"""One run of `make bench-money`: which cases, how long, and what is written at the end."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from benchmarks import cases, report
from benchmarks.money import audit, checkout, post, rights
from benchmarks.money import stage as stages
from benchmarks.money.stage import ROUNDS, SECONDS, Stage
from benchmarks.report import Report, Row

NAME = "bench-money"
CASES: Final[dict[str, Callable[[Stage], Awaitable[list[Row]]]]] = {
    "post": post.rows,
    "audit": audit.rows,
    "rights": rights.rows,
    "checkout": checkout.rows,
}
#: What Postgres is asked about itself, for the page.
TOLD = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `quick`: everything once and short, to see that it works; its figures mean little."""

    rounds: int = ROUNDS
    seconds: int = SECONDS
    only: tuple[str, ...] = tuple(CASES)
    quick: bool = False
    page: Path | None = report.PAGE


async def run(options: Options) -> Report:
    """Measure, print, rewrite the page. A case that breaks gives a void row; the others go on."""
    rows: list[Row] = []
    async with stages.started() as server:
        stage = Stage(
            server=server,
            rounds=1 if options.quick else options.rounds,
            seconds=1 if options.quick else options.seconds,
            quick=options.quick,
        )
        stage.tell(await _postgres(stage))
        for name in options.only:
            stage.say(f"{name} …")
            rows += await cases.one(name, CASES[name], stage)
            print(report.figures(rows), flush=True)
    done = report.make(NAME, rows, now=datetime.datetime.now(datetime.UTC))
    text = part(done, stage, command=command(options))
    print(text)
    if options.page:
        report.write(NAME, text, options.page)
    return done


async def _postgres(stage: Stage) -> str:
    """The other side's exact form, which is ours too: Postgres, and the disk under it."""
    connection = await asyncpg.connect(stage.server.url)
    try:
        said = [f"{name} {await connection.fetchval('select current_setting($1)', name)}" for name in TOLD]
    finally:
        await connection.close()
    sync_ms = await asyncio.to_thread(stages.sync_ms)
    return f"Postgres: {', '.join(said)}. Its disk keeps a block of 8 KiB in {report.number(sync_ms)} ms."


def part(done: Report, stage: Stage, *, command: str) -> str:
    """The bench's part of the page."""
    return "\n\n".join(
        (
            "## Money",
            f"{done.date[:16].replace('T', ' ')} UTC, commit {done.commit or 'unknown'}, `{command}`, "
            f"on {done.machine}.  \n{stage.said[0]}",
            f"A movement is a sale of {post.PRICE / 100:.2f}: {post.VIEWERS:,} viewers, {post.SELLERS} sellers, one "
            f"account of the platform, in a transaction of its own that waits for the disk; {post.WRITERS} connections "
            f"of one client on the same machine. The sides take turns in {stage.rounds} rounds of {stage.seconds:g} s. "
            "Afterwards both ledgers are derived anew and every confirmed sale is found in them once.",
            f"Entitlements: {rights.PAIRS} viewers ask in turn, {rights.TURNS} times each, half of them for what they "
            "bought; of Postgres in a transaction of its own each time, of Redis in one round trip. Checkout: a click "
            "is a request over HTTP to control as `usher run` starts it, its worker beside it, until the answer; "
            f"{checkout.FULL[0]} buyers of {checkout.FULL[1]} titles, whose rights and books are looked through "
            "afterwards.",
            report.figures(done.rows),
            *stage.said[1:],
        )
    )


def command(options: Options) -> str:
    """The line that runs the very same again."""
    words = ["usher bench money"]
    if options.quick:
        words.append("--quick")
    elif (options.rounds, options.seconds) != (ROUNDS, SECONDS):
        words.append(f"--rounds {options.rounds} --seconds {options.seconds}")
    if options.only != tuple(CASES):
        words.append(f"--only {','.join(options.only)}")
    return " ".join(words)
