"""One run of `make bench-edge`: which cases, how long, and what is written at the end."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path

import msgspec

from benchmarks import media, programs, report, stage
from benchmarks.client import lift_file_limit
from benchmarks.edge import certificate, cold, forged, latency, memory, rounds, sides, throughput
from benchmarks.edge.sides import SIZES, Cast
from benchmarks.edge.throughput import Measured, Pace
from benchmarks.report import Report, Row

NAME = "bench-edge"
CASES = ("cleartext", "tls", "start", "forged", "fill", "misses", "memory")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `quick`: everything once and short, to see that it works; its figures mean little."""

    rounds: int = 5
    seconds: int = 3
    only: tuple[str, ...] = CASES
    quick: bool = False
    page: Path | None = report.PAGE

    def pace(self) -> Pace:
        """Rounds and their length."""
        return Pace(1, 1) if self.quick else Pace(self.rounds, self.seconds)


class Findings(msgspec.Struct):
    """What was measured so far."""

    rows: list[Row] = []
    measured: list[Measured] = []


async def run(options: Options, environ: Mapping[str, str]) -> Report:
    """Measure, print, rewrite the page. Raises Missing, ChildDied, Misconfigured, or AssertionError for wrong bytes."""
    found = programs.find("nginx", "wrk", environ=environ)
    lift_file_limit()
    sizes = tuple(msgspec.structs.replace(size, sessions=200) for size in SIZES) if options.quick else SIZES
    async with stage.standing(environ) as standing:
        certified = certificate.make(standing.folder, now=datetime.datetime.now(datetime.UTC))
        cast = await sides.start(standing, found, sizes=sizes, certified=certified)
        print("\n\n".join(cast.words), end="\n\n", flush=True)
        findings = await _measure(cast, options, found["wrk"])
    done = report.make(NAME, findings.rows, now=datetime.datetime.now(datetime.UTC))
    text = part(done, findings.measured, versions=versions(found), command=command(options))
    print(text)
    if options.page:
        report.write(NAME, text, options.page)
    return done


async def _measure(cast: Cast, options: Options, wrk: str) -> Findings:
    """The cases in an order in which none spoils the caches of the next."""
    findings, pace = Findings(), options.pace()
    playlist = media.playlist(cast.stage.bucket)
    # First, while the edge holds little: memory that it gives back meanwhile would be taken for that of connections.
    held = [await memory.idle(cast, number=100 if options.quick else 1000)] if "memory" in options.only else []
    if "cleartext" in options.only:
        findings.measured += await throughput.cleartext(cast, pace, wrk)
        findings.measured += await throughput.as_players(cast, pace, wrk)
    if "tls" in options.only:
        findings.measured += await throughput.tls(cast, pace, wrk)
    findings.rows += [row for one in findings.measured for row in throughput.rows(one)]
    if "start" in options.only:
        findings.rows += await latency.session_start(cast, playlist, number=50 if options.quick else 1000)
    if "forged" in options.only:
        findings.rows.append(await forged.cost(cast, pace, wrk))
    if "fill" in options.only:
        findings.rows += await cold.fill(cast, rounds=min(3, pace.rounds), number=16 if options.quick else 200)
    if "misses" in options.only:
        findings.rows.append(await cold.simultaneous(cast, viewers=100 if options.quick else 1000))
    if "memory" in options.only:
        findings.rows += held
        findings.rows.append(await memory.slow_readers(cast, seconds=2 if options.quick else 10))
    return findings


def part(done: Report, measured: list[Measured], *, versions: str, command: str) -> str:
    """The bench's part of the page."""
    blocks = [
        "## The edge beside nginx",
        f"{done.date[:16].replace('T', ' ')} UTC, commit {done.commit or 'unknown'}, `{command}`, "
        f"on {done.machine}.  \n{versions}.",
        "CPU time of all server processes per request, the Valkey's too; `value` is their CPU over ours where both "
        "sides are named, the median of the rounds' ratios. Everything is on at the edge: token, seat, watch time, "
        f"metrics; a session asks {rounds.OFTEN} times a round where nothing else is said. The nginx configurations "
        "are in `benchmarks/edge/nginx.py` and are printed by the run.",
        report.figures(done.rows),
    ]
    if measured:
        blocks.append(report.table(throughput.HEADER, [line for one in measured for line in throughput.lines(one)]))
    return "\n\n".join(blocks)


def versions(found: Mapping[str, str]) -> str:
    """What was measured with."""
    from importlib.metadata import version

    return ", ".join(
        (
            programs.version(found["nginx"], "-v").removeprefix("nginx version: "),
            " ".join(programs.version(found["wrk"], "-v").split()[:2]),
            *(f"{name} {version(name)}" for name in ("granian", "uvloop")),
        )
    )


def command(options: Options) -> str:
    """The line that runs the very same again."""
    words = ["usher bench edge"]
    if options.quick:
        words.append("--quick")
    elif options.pace() != Options().pace():
        words.append(f"--rounds {options.rounds} --seconds {options.seconds}")
    if options.only != CASES:
        words.append(f"--only {','.join(options.only)}")
    return " ".join(words)
