"""CPU per request of every side, by size: in cleartext, and over TLS 1.3."""

from __future__ import annotations

import statistics

import msgspec

from benchmarks.edge import rounds, sides
from benchmarks.edge.rounds import Matter, Rounds
from benchmarks.edge.sides import Cast
from benchmarks.report import Row, number
from benchmarks.stage import say

#: (bar, aim) of nginx' CPU over ours, by other side and size (and TLS).
MARKS: dict[tuple[str, str, bool], tuple[float, float]] = {
    (sides.SECURE_LINK, "1.5 KB", False): (0.50, 0.70),
    (sides.SECURE_LINK, "200 KB", False): (0.65, 0.85),
    (sides.SECURE_LINK, "1 MB", False): (0.50, 0.65),
    (sides.SECURE_LINK, "200 KB", True): (1.0, 1.25),
    (sides.SECURE_LINK, "1 MB", True): (1.0, 1.25),
    (sides.AUTH_REQUEST, "1.5 KB", False): (1.5, 2.5),
    (sides.AUTH_REQUEST, "200 KB", False): (1.2, 1.7),
    (sides.AUTH_REQUEST, "1 MB", False): (0.9, 1.1),
}


class Pace(msgspec.Struct, frozen=True):
    """How long a case is measured."""

    rounds: int
    seconds: int


class Measured(msgspec.Struct, frozen=True):
    """One size at all sides."""

    size: str
    tls: bool
    rounds: Rounds


async def cleartext(cast: Cast, pace: Pace, program: str) -> list[Measured]:
    """All sides at all sizes."""
    names = (sides.SECURE_LINK, sides.AUTH_REQUEST, sides.AUTH_CACHED, sides.EDGE)
    return await _measure(cast, pace, program, names=names, tls=False)


async def tls(cast: Cast, pace: Pace, program: str) -> list[Measured]:
    """secure_link and the edge at all sizes over TLS."""
    return await _measure(cast, pace, program, names=(sides.SECURE_LINK, f"{sides.EDGE} tls"), tls=True)


async def _measure(cast: Cast, pace: Pace, program: str, *, names: tuple[str, ...], tls: bool) -> list[Measured]:
    done = []
    for size in cast.sizes:
        how = " over TLS 1.3" if tls else ""
        say(f"{size.name}{how}: {pace.rounds} rounds of {pace.seconds} s at {len(names)} sides")
        turn = tuple(cast.sides[name] for name in names)
        matter = Matter(sides=turn, size=size, rounds=pace.rounds, seconds=pace.seconds, tls=tls)
        done.append(Measured(size.name, tls, await rounds.measure(cast, matter, program)))
    return done


def rows(measured: Measured) -> list[Row]:
    """The edge against each other side."""
    ours = measured.rounds[sides.EDGE]
    found = []
    for name, theirs in measured.rounds.items():
        if name == sides.EDGE:
            continue
        bar, aim = MARKS.get((name, measured.size, measured.tls), (None, None))
        found.append(
            Row(
                case=f"{measured.size}{', TLS 1.3' if measured.tls else ''}, against {name}",
                ours=rounds.middle(ours),
                theirs=rounds.middle(theirs),
                unit="us CPU/request",
                value=rounds.ratio(theirs, ours),
                bar=bar,
                aim=aim,
            )
        )
    return found


def lines(measured: Measured) -> list[tuple[str, ...]]:
    """For people: median, calmest round, the Valkey's share and what else was seen, side by side."""
    return [
        (
            f"{measured.size}{' TLS' if measured.tls else ''}",
            name,
            number(rounds.middle(done)),
            number(min(one.us for one in done)),
            number(statistics.median(one.valkey_us for one in done)),
            number(statistics.median(one.per_s for one in done)),
            number(statistics.median(one.p50_ms for one in done)),
        )
        for name, done in measured.rounds.items()
    ]


HEADER = ("size", "side", "us/request", "calmest", "of it Valkey", "requests/s", "p50 ms")
