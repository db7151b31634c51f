"""CPU per request of every side, by size: in cleartext, and over TLS 1.3."""

from __future__ import annotations

import statistics

import msgspec

from benchmarks.edge import rounds, sides
from benchmarks.edge.rounds import Matter, Rounds
from benchmarks.edge.sides import Cast, Size
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
    by_side: Rounds
    sessions: int = 0
    asks: int = rounds.OFTEN

    @property
    def name(self) -> str:
        """What this is called in tables."""
        often = "" if self.asks == rounds.OFTEN else ", a renewal each 8 requests"
        return f"{self.size}{', TLS 1.3' if self.tls else ''}{often}"


async def cleartext(cast: Cast, pace: Pace, program: str) -> list[Measured]:
    """All sides at all sizes."""
    names = (sides.SECURE_LINK, sides.AUTH_REQUEST, sides.AUTH_CACHED, sides.EDGE)
    return await _measure(cast, pace, program, names=names, tls=False)


async def tls(cast: Cast, pace: Pace, program: str) -> list[Measured]:
    """secure_link and the edge at all sizes over TLS."""
    for size in cast.sizes:
        cast.draw(size)
    return await _measure(cast, pace, program, names=(sides.SECURE_LINK, f"{sides.EDGE} tls"), tls=True)


async def as_players(cast: Cast, pace: Pace, program: str) -> list[Measured]:
    """secure_link and the edge at 200 KB, with as many sessions as make players' share of renewals."""
    return await _measure(
        cast,
        pace,
        program,
        names=(sides.SECURE_LINK, sides.EDGE),
        tls=False,
        sizes=cast.sizes[1:2],
        asks=rounds.AS_PLAYERS,
    )


async def _measure(
    cast: Cast,
    pace: Pace,
    program: str,
    *,
    names: tuple[str, ...],
    tls: bool,
    sizes: tuple[Size, ...] = (),
    asks: int = rounds.OFTEN,
) -> list[Measured]:
    done = []
    for size in sizes or cast.sizes:
        turn = tuple(cast.sides[name] for name in names)
        matter = Matter(sides=turn, size=size, rounds=pace.rounds, seconds=pace.seconds, tls=tls, asks=asks)
        found = await rounds.measure(cast, matter, program)
        measured = Measured(size.name, tls, found, sessions=cast.playing[size.name], asks=asks)
        how = f"{pace.rounds} rounds of {pace.seconds} s at {len(names)} sides, {measured.sessions} sessions"
        say(f"{measured.name}: {how}")
        done.append(measured)
    return done


def rows(measured: Measured) -> list[Row]:
    """The edge against each other side."""
    ours = measured.by_side[sides.EDGE]
    found = []
    for name, theirs in measured.by_side.items():
        if name == sides.EDGE:
            continue
        marks = MARKS if measured.asks == rounds.OFTEN else {}
        bar, aim = marks.get((name, measured.size, measured.tls), (None, None))
        found.append(
            Row(
                case=f"{measured.name}, against {name}",
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
            measured.name,
            name,
            number(rounds.middle(done)),
            number(min(one.us for one in done)),
            number(statistics.median(one.valkey_us for one in done)),
            number(statistics.median(one.per_s for one in done)),
            number(statistics.median(one.p50_ms for one in done)),
        )
        for name, done in measured.by_side.items()
    ]


HEADER = ("size", "side", "us/request", "calmest", "of it Valkey", "requests/s", "p50 ms")
