"""What a forged token costs beside a served hit: every signature wrong in its own way, the key known."""

from __future__ import annotations

import statistics

from benchmarks import wrk
from benchmarks.edge import rounds, sides
from benchmarks.edge.rounds import Matter
from benchmarks.edge.sides import Cast
from benchmarks.edge.throughput import Pace
from benchmarks.report import Row
from benchmarks.stage import say

BAR, AIM = 6.0, 4.0


async def cost(cast: Cast, pace: Pace, program: str) -> Row:
    """CPU of a 401 over that of a served 1.5 KB hit, in turn at one edge whose limits of forgeries are lifted."""
    say(f"forged tokens: {pace.rounds} rounds of {pace.seconds} s")
    side, size = cast.sides[sides.EDGE], cast.sizes[0]
    matter = Matter(sides=(side,), size=size, rounds=pace.rounds, seconds=pace.seconds)
    cast.draw(size)
    await rounds.choose_sessions(cast, matter, program)
    await rounds.warm(cast, side, matter, program)
    hits, forgeries = [], []
    faults = []
    drawn = 0
    for _ in range(pace.rounds):
        hit = await rounds.one(cast, side, matter, program)
        hits.append(hit.us)
        before = side.servers[0].cpu_s()
        spoiled = wrk.Load(
            url=f"http://127.0.0.1:{side.port}",
            paths=cast.paths(side, size),
            connections=size.connections,
            seconds=pace.seconds,
            first=drawn,
            forge=True,
        )
        outcome = await wrk.run(program, spoiled)
        drawn += outcome.requests + size.connections
        forgeries.append((side.servers[0].cpu_s() - before) / max(outcome.requests, 1) * 1e6)
        faults += [hit.fault, wrk.fault(outcome, body_bytes=0, connections=size.connections, wanted_status=False)]
    faults.append(await _refused_for_their_signature(cast))
    for fault in filter(None, faults):
        say(f"forged tokens: {fault}")
    value = None if any(faults) else statistics.median(b / a for a, b in zip(hits, forgeries, strict=True) if a)
    ours, theirs = statistics.median(forgeries), statistics.median(hits)
    case = "forged token, over a served 1.5 KB hit"
    return Row(
        case=case, ours=ours, theirs=theirs, unit="us CPU/request", value=value, bar=BAR, aim=AIM, better="lower"
    )


async def _refused_for_their_signature(cast: Cast) -> str:
    """Whether the edge still looks at signatures after all that, instead of refusing for their number."""
    from benchmarks.client import Line

    token = cast.stage.mint.draw(1)[0]
    head, _, signature = token.rpartition(".")
    line = await Line.open(cast.sides[sides.EDGE].port)
    try:
        answer = await line.get(f"/t/{head}.0000000000{signature[10:]}/{cast.keys[cast.sizes[0].name][0]}")
    finally:
        line.close()
    return "" if answer.status == 401 else f"a forged token gets {answer.status}: the limit of forgeries is in the way"
