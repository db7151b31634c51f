"""What is not cached: a fill of many bodies, and a thousand viewers who ask for the same one at once."""

from __future__ import annotations

import asyncio
import hashlib
import statistics
import time
from collections.abc import Callable

import msgspec

from benchmarks import media
from benchmarks.client import Answer, Line, open_lines, visit
from benchmarks.edge import nginx, sides
from benchmarks.edge.counting import CountingBucket
from benchmarks.edge.sides import Cast, Side
from benchmarks.report import Row
from benchmarks.stage import say

FILL_BYTES, LINES = 1 << 20, 16
#: How long the counting bucket takes for an answer, so that all have asked before the first byte.
SLOW_S = 0.2


class Fill(msgspec.Struct, frozen=True):
    """One fill: CPU of all servers per body, and bodies a second; None of a fill with a wrong answer."""

    us: float
    per_s: float
    fault: str


async def fill(cast: Cast, *, rounds: int, number: int) -> list[Row]:
    """`number` bodies of 1 MB that neither side has seen, in turn; nginx' origin counts as its server."""
    say(f"cold fill: {rounds} rounds of {number} bodies of 1 MB at 2 sides")
    ours: list[Fill] = []
    theirs: list[Fill] = []
    tokens = cast.stage.mint.draw(LINES)
    origin = cast.stage.server("nginx-origin")
    other = cast.sides[sides.SECURE_LINK]
    other = msgspec.structs.replace(other, servers=(*other.servers, origin))
    for turn in range(rounds):
        keys = media.fill_linked(cast.stage.bucket, f"cold{turn}", size=FILL_BYTES, number=number)
        wanted = hashlib.sha256((cast.stage.bucket / keys[0]).read_bytes()).digest()
        theirs.append(await _fill(other, keys, wanted, address=lambda key, place: nginx.signed(f"cold{place}", key)))
        ours.append(
            await _fill(cast.sides[sides.EDGE], keys, wanted, address=lambda key, place: f"/t/{tokens[place]}/{key}")
        )
    faults = [one.fault for one in (*ours, *theirs) if one.fault]
    for fault in faults:
        say(f"cold fill: {fault}")
    value = None if faults else statistics.median(a.us / b.us for a, b in zip(theirs, ours, strict=True) if b.us)
    us = [statistics.median(one.us for one in side) for side in (ours, theirs)]
    speed = [statistics.median(one.per_s for one in side) for side in (ours, theirs)]
    return [
        Row(case="cold fill of 1 MB, origin counted", ours=us[0], theirs=us[1], unit="us CPU/request", value=value),
        Row(case="cold fill of 1 MB, speed", ours=speed[0], theirs=speed[1], unit="bodies/s", value=speed[0]),
    ]


async def _fill(side: Side, keys: list[str], wanted: bytes, *, address: Callable[[str, int], str]) -> Fill:
    """Fetch all keys once over LINES connections."""
    lines = await open_lines(side.port, LINES)
    servers = (*side.servers, *((side.valkey,) if side.valkey else ()))
    todo = iter(keys)
    bad: list[int] = []

    async def work(place: int, line: Line) -> None:
        for key in todo:
            answer = await line.get(address(key, place))
            if answer.status != 200 or hashlib.sha256(answer.body).digest() != wanted:
                bad.append(answer.status)

    before, start = sum(server.cpu_s() for server in servers), time.perf_counter()
    await asyncio.gather(*(work(place, line) for place, line in enumerate(lines)))
    took = time.perf_counter() - start
    spent = sum(server.cpu_s() for server in servers) - before
    for line in lines:
        line.close()
    fault = f"{side.name}: {len(bad)} answers were wrong ({sorted(set(bad))})" if bad else ""
    return Fill(spent / len(keys) * 1e6, len(keys) / took, fault)


async def simultaneous(cast: Cast, *, viewers: int) -> Row:
    """Reads of the bucket when `viewers` ask at once for a body that nobody has asked for before."""
    say(f"{viewers} simultaneous misses")
    small, large = media.segment("miss", 0), media.segment("miss", 1)
    for key, size in ((small, 1000), (large, FILL_BYTES)):
        path = cast.stage.bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(key.encode() * (size // len(key)))
    (cast.stage.bucket / "v" / small.split("/")[1] / "miss" / "ready.json").write_text("{}")
    port = cast.stage.port(11)
    async with CountingBucket(cast.stage.bucket, port, slow_s=SLOW_S) as counted:
        server, _ = await cast.stage.edge("edge-s3", settings=sides.RAISED | counted.settings())
        tokens = cast.stage.mint.draw(viewers)
        seated = await visit(server.port, [f"/t/{token}/{small}" for token in tokens])
        lines = await open_lines(server.port, viewers)
        answers = await _all_at_once(lines, [f"/t/{token}/{large}" for token in tokens])
        for line in lines:
            line.close()
        reads = counted.reads[large]
    wanted = (cast.stage.bucket / large).read_bytes()
    bad = [one.status for one in answers if one.status != 200 or one.body != wanted]
    if bad or set(seated) != {200}:
        say(f"simultaneous misses: {len(bad)} answers were wrong ({sorted(set(bad))}), seats: {seated}")
    return Row(
        case=f"{viewers:,} simultaneous misses of one body",
        ours=float(reads),
        theirs=None,
        unit="bucket reads",
        value=None if bad else float(reads),
        bar=1.0,
        aim=1.0,
        better="lower",
    )


async def _all_at_once(lines: list[Line], paths: list[str]) -> list[Answer]:
    for line, path in zip(lines, paths, strict=True):
        line.ask(path)
    return await asyncio.gather(*(line.answer() for line in lines))
