"""Interleaved rounds: A B C A B C …, CPU of all server processes per request, void where an answer was wrong."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Sequence

import msgspec

from benchmarks import wrk
from benchmarks.client import Line
from benchmarks.edge.certificate import trusting_nobody
from benchmarks.edge.nginx import CIPHER
from benchmarks.edge.sides import FIRST_SESSIONS, Cast, Side, Size
from benchmarks.stage import say

#: Bodies of each side that are fetched whole and compared, before and after the rounds.
SAMPLE = 3


#: How often a session asks in a round: seats are renewed by the clock, so this, and not how fast the machine is, says
#: how many requests there are to a renewal. A player makes about 8 between two.
OFTEN, AS_PLAYERS = 40, 8
#: Sessions at least.
FEWEST = 50


class Round(msgspec.Struct, frozen=True):
    """One run at one side: microseconds of CPU per request, the Valkey's share among them."""

    us: float
    valkey_us: float
    per_s: float
    p50_ms: float
    fault: str = ""


class Matter(msgspec.Struct, frozen=True, kw_only=True):
    """What one case measures: sides in turn, one size, in cleartext or over TLS. `asks`: of one session in a round."""

    sides: tuple[Side, ...]
    size: Size
    rounds: int
    seconds: int
    tls: bool = False
    asks: int = OFTEN


Rounds = dict[str, list[Round]]


async def measure(cast: Cast, matter: Matter, program: str) -> Rounds:
    """Choose how many sessions play, warm each side, check bytes, run the rounds, check again."""
    await choose_sessions(cast, matter, program)
    done: Rounds = {side.name: [] for side in matter.sides}
    for side in matter.sides:
        await warm(cast, side, matter, program)
        await check_bytes(cast, side, matter)
    for _ in range(matter.rounds):
        for side in matter.sides:
            done[side.name].append(await one(cast, side, matter, program))
    for side in matter.sides:
        await check_bytes(cast, side, matter)
    return done


async def choose_sessions(cast: Cast, matter: Matter, program: str) -> None:
    """As many as ask `asks` times each in a round at the last side, as fast as that is here and now."""
    size, side = matter.size, matter.sides[-1]
    cast.let_play(size, min(size.sessions, FIRST_SESSIONS))
    await warm(cast, side, matter, program)
    seen = await wrk.run(program, load(cast, side, matter, seconds=1))
    wanted = seen.requests * matter.seconds // matter.asks
    cast.let_play(size, min(size.sessions, max(FEWEST, wanted)))


async def warm(cast: Cast, side: Side, matter: Matter, program: str) -> None:
    """Run until each session was there once: its token is verified, its seat taken, its bodies cached."""
    seen = 0
    while seen < cast.playing[matter.size.name]:
        outcome = await wrk.run(program, load(cast, side, matter, seconds=1))
        if not outcome.requests:
            raise wrk.Failed(f"{side.name} answered nothing in a second")
        seen += advance(cast, side, matter.size, outcome)


async def one(cast: Cast, side: Side, matter: Matter, program: str) -> Round:
    """One run at one side."""
    before, before_valkey = _cpu_s(side)
    outcome = await wrk.run(program, load(cast, side, matter, seconds=matter.seconds))
    after, after_valkey = _cpu_s(side)
    advance(cast, side, matter.size, outcome)
    fault = wrk.fault(outcome, body_bytes=matter.size.bytes, connections=matter.size.connections)
    if fault:
        say(f"{side.name}, {matter.size.name}: {fault}")
    asked = max(outcome.requests, 1)
    return Round(
        us=(after - before) / asked * 1e6,
        valkey_us=(after_valkey - before_valkey) / asked * 1e6,
        per_s=outcome.requests / outcome.duration_s,
        p50_ms=outcome.p50_ms,
        fault=fault,
    )


def load(cast: Cast, side: Side, matter: Matter, *, seconds: int) -> wrk.Load:
    """What wrk does at a side."""
    paths = cast.paths(side, matter.size)
    return wrk.Load(
        url=f"https://127.0.0.1:{side.tls_port}" if matter.tls else f"http://127.0.0.1:{side.port}",
        paths=paths,
        connections=matter.size.connections,
        seconds=seconds,
        first=side.at.get(paths.name, 0),
    )


def advance(cast: Cast, side: Side, size: Size, outcome: wrk.Outcome) -> int:
    """Let the next run at this side go on where this one ended."""
    name = cast.paths(side, size).name
    side.at[name] = side.at.get(name, 0) + outcome.requests
    return outcome.requests


async def check_bytes(cast: Cast, side: Side, matter: Matter) -> None:
    """Fetch a few bodies through the very same way and compare them with the bucket. Raises AssertionError."""
    port = side.tls_port if matter.tls else side.port
    line = await Line.open(port, trusting_nobody() if matter.tls else None)
    try:
        assert line.cipher == (CIPHER if matter.tls else ""), f"{side.name} speaks {line.cipher}"
        with cast.paths(side, matter.size).open() as paths:
            for path, _ in zip(paths, range(SAMPLE), strict=False):
                key = path.split("?")[0].strip()
                key = key[key.index("/v/") + 1 :]
                answer = await line.get(path.strip())
                assert answer.status == 200, f"{side.name} answers {answer.status}: {answer.body[:300]!r}"
                wanted = hashlib.sha256((cast.stage.bucket / key).read_bytes()).digest()
                assert hashlib.sha256(answer.body).digest() == wanted, f"{side.name}: other bytes for {key}"
    finally:
        line.close()


def _cpu_s(side: Side) -> tuple[float, float]:
    """CPU of all servers of a side, and of the Valkey among them."""
    valkey = side.valkey.cpu_s() if side.valkey else 0.0
    return sum(server.cpu_s() for server in side.servers) + valkey, valkey


def sound(rounds: Sequence[Round]) -> bool:
    """Whether every round counts."""
    return bool(rounds) and not any(one.fault for one in rounds)


def ratio(theirs: Sequence[Round], ours: Sequence[Round]) -> float | None:
    """The median of their CPU over ours, round by round; None where a round is void."""
    if not sound(theirs) or not sound(ours):
        return None
    return statistics.median(a.us / b.us for a, b in zip(theirs, ours, strict=True) if b.us)


def middle(rounds: Sequence[Round]) -> float | None:
    """The median microseconds of a side; None where a round is void."""
    return statistics.median(one.us for one in rounds) if sound(rounds) else None
