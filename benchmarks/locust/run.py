"""One run of `make load`: an edge of its own (or nginx), players, and what they saw."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import resource
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks import programs, report, stage
from benchmarks.client import lift_file_limit
from benchmarks.edge import nginx
from benchmarks.locust import film, links, thresholds
from benchmarks.locust.delay import Delay
from benchmarks.locust.links import Links
from benchmarks.locust.thresholds import Result
from benchmarks.stage import ROOT, Server, Stage, say
from shared.ids import new_secret

NAME = "load"
OUT = ROOT / ".cache" / "load"
#: Players that come each second, and seconds in which all must have left at the end.
SPAWN_PER_S, LEAVE_S = 15, 10


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `slow_ms` delays every request; `page` is rewritten after a whole run of an undelayed edge."""

    players: int = 300
    seconds: int = 120
    slow_ms: int = 0
    against: Literal["edge", "nginx"] = "edge"
    out: Path = OUT
    page: Path | None = report.PAGE


class Target(msgspec.Struct, frozen=True):
    """What is played from."""

    port: int
    links: Links
    servers: tuple[Server, ...]

    def cpu_s(self) -> float:
        """CPU all servers have used."""
        return sum(server.cpu_s() for server in self.servers)


class Spent(msgspec.Struct, frozen=True):
    """Seconds of CPU of both, while they played."""

    servers: float
    players: float


async def run(options: Options, environ: Mapping[str, str]) -> int:
    """Play and tell; 1 when a threshold does not hold. Raises Missing, ChildDied or Misconfigured."""
    needed = programs.find("nginx", environ=environ) if options.against == "nginx" else {}
    lift_file_limit()
    options.out.mkdir(parents=True, exist_ok=True)
    async with stage.standing(environ) as standing:
        master = film.fill(standing.bucket)
        say(film_words())
        target = await (
            _nginx(standing, needed["nginx"], master, options) if needed else _edge(standing, master, options)
        )
        async with _slowed(standing, target.port, options) as port:
            before, before_players = target.cpu_s(), _children_cpu_s()
            found = await _play(options, target.links, port)
            spent = Spent(target.cpu_s() - before, _children_cpu_s() - before_players)
    refuses = options.against == "edge"
    broken = thresholds.broken(found, players=options.players, refuses=refuses)
    text = part(options, found, spent)
    print(text, flush=True)
    for words in broken:
        print(f"broken: {words}")
    if options.page and not options.slow_ms and refuses:
        report.write(NAME, text, options.page)
    print(f"The report is {options.out / 'report.html'}", flush=True)
    return 1 if broken else 0


def film_words() -> str:
    """What is played."""
    rungs = ", ".join(f"{height}p {bits / 1e6:g} Mbit/s" for height, bits in film.LADDER.items())
    sound = f"sound {film.SOUND_BITS_PER_S // 1000} kbit/s"
    return f"a film of {film.SEGMENTS} segments of {film.SEGMENT_S} s: {rungs}, {sound}"


async def _edge(standing: Stage, master: str, options: Options) -> Target:
    """Our edge, believing X-Forwarded-For of this machine, so that each player has a network of its own."""
    server, _ = await standing.edge("edge", settings={"trusted_proxies": "127.0.0.1/32"})
    return Target(server.port, links.draw(standing.mint, master, viewers=options.players), (server, standing.valkey))


async def _nginx(standing: Stage, program: str, master: str, options: Options) -> Target:
    """The reference: secure_link in the path and proxy_cache. It counts no screens, so nobody fights over them."""
    origin, port = standing.port(0), standing.port(1)
    texts = {
        "nginx-origin": nginx.origin(nginx.folder_of(standing, "nginx-origin"), port=origin, bucket=standing.bucket),
        "nginx": nginx.link_by_path(nginx.folder_of(standing, "nginx"), port=port, origin_port=origin),
    }
    started = [
        await standing.start(nginx.spec(standing, program, name, configuration=text, port=place))
        for (name, text), place in zip(texts.items(), (origin, port), strict=True)
    ]
    drawn = [
        [nginx.signed_path(new_secret(12), master) for _ in range(number)]
        for number in (options.players, links.LEAVERS * links.TURNS)
    ]
    return Target(port, Links(viewers=drawn[0], leavers=drawn[1]), tuple(started))


@contextlib.asynccontextmanager
async def _slowed(standing: Stage, port: int, options: Options) -> AsyncIterator[int]:
    """The port players go to: the server's own, or that of a proxy that is slow."""
    if not options.slow_ms:
        yield port
        return
    async with Delay(standing.port(2), port, delay_s=options.slow_ms / 1000):
        yield standing.port(2)


async def _play(options: Options, given: Links, port: int) -> Result:
    """Run locust to its end. Raises RuntimeError when it leaves no result."""
    listed, result = options.out / "links.json", options.out / "result.json"
    result.unlink(missing_ok=True)
    listed.write_bytes(msgspec.json.encode(given))
    say(f"{options.players} players for {options.seconds} s")
    process = await asyncio.create_subprocess_exec(*argv(options, given, port), cwd=ROOT)
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        listed.unlink()
    if not result.exists():
        raise RuntimeError("locust left no result; its words are above")
    return msgspec.json.decode(result.read_bytes(), type=Result)


def _children_cpu_s() -> float:
    """CPU of the children that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def argv(options: Options, given: Links, port: int) -> list[str]:
    """The command line of locust."""
    others = links.LEAVERS + (links.SHARERS if given.sharers else 0) + (links.FIGHTERS if given.fights else 0)
    words = {
        "-f": str(Path(__file__).with_name("players.py")),
        "--host": f"http://127.0.0.1:{port}",
        "-u": str(options.players + others),
        "-r": str(SPAWN_PER_S),
        "-t": f"{options.seconds}s",
        "--stop-timeout": str(LEAVE_S),
        "--html": str(options.out / "report.html"),
        "--links": str(options.out / "links.json"),
        "--result": str(options.out / "result.json"),
        "--loglevel": "WARNING",
        # What failed is told by the thresholds.
        "--exit-code-on-error": "0",
    }
    return [
        sys.executable,
        "-m",
        "locust",
        "--headless",
        "--only-summary",
        *(w for pair in words.items() for w in pair),
    ]


def part(options: Options, found: Result, spent: Spent) -> str:
    """The run in words and figures."""
    now = datetime.datetime.now(datetime.UTC)
    header = ("", "number", "failed", "p50 ms", "p95 ms", "p99 ms")
    lines = [
        (one.name, str(one.count), str(one.failures), *(report.number(v) for v in (one.p50_ms, one.p95_ms, one.p99_ms)))
        for one in found.timings
    ]
    slow = f", every request {options.slow_ms} ms late" if options.slow_ms else ""
    return "\n\n".join(
        (
            "## Players",
            f"{now:%Y-%m-%d %H:%M} UTC, commit {report.commit() or 'unknown'}, `{command(options)}`, "
            f"on {report.machine()}.",
            f"{found.started} of {options.players} players started at the {options.against}{slow}: {found.stalls} "
            f"stalls, {found.seeks} seeks, {found.switches} changes of rung, {found.bytes / 1e9:.2f} GB in "
            f"{options.seconds} s. Refused: {found.refused_sharers} shared links, {found.refused_fighters} screens "
            "over the cap. Startup and seek leave out what the player's own simulated line takes. "
            f"The players share the machine with what they play from: they used {spent.players:.0f} s of CPU, the "
            f"servers {spent.servers:.0f} s. It is {film_words()}.",
            report.table(header, lines),
        )
    )


def command(options: Options) -> str:
    """The line that runs the very same again."""
    told = {"--players": options.players, "--seconds": options.seconds, "--slow-ms": options.slow_ms}
    usual = {"--players": 300, "--seconds": 120, "--slow-ms": 0}
    words = [f"{name} {value}" for name, value in told.items() if value != usual[name]]
    if options.against != "edge":
        words.append(f"--against {options.against}")
    return " ".join(("usher load", *words))
