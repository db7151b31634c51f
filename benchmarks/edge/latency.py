"""Session starts at set times, each with a token nobody has seen: verify and seat, as a viewer waits for them."""

from __future__ import annotations

import asyncio
import time

from benchmarks.client import Answer, Line
from benchmarks.edge import sides
from benchmarks.edge.sides import Cast
from benchmarks.report import Row
from benchmarks.stage import say

PER_S, LINES = 50, 20
BAR_MS, AIM_MS = 50.0, 10.0


async def session_start(cast: Cast, playlist: str, *, number: int) -> list[Row]:
    """p50 and p99 of `number` starts, PER_S a second whether the last was answered or not."""
    say(f"session start: {number} new sessions, {PER_S} a second")
    port = cast.sides[sides.EDGE].port
    tokens = cast.stage.mint.draw(number)
    free: asyncio.Queue[Line] = asyncio.Queue()
    for _ in range(LINES):
        free.put_nowait(await Line.open(port))
    await (line := free.get_nowait()).get(f"/t/{cast.stage.mint.draw(1)[0]}/{playlist}")
    free.put_nowait(line)
    start = time.perf_counter() + 0.1
    taken = await asyncio.gather(
        *(_start(free, f"/t/{token}/{playlist}", at=start + place / PER_S) for place, token in enumerate(tokens))
    )
    while not free.empty():
        free.get_nowait().close()
    bad = [answer.status for _, answer in taken if answer.status != 200]
    if bad:
        say(f"session start: {len(bad)} answers were {sorted(set(bad))}")
    times = sorted(waited for waited, _ in taken)
    p50, p99 = (None if bad else percentile(times, share) * 1e3 for share in (0.5, 0.99))
    told = {"theirs": None, "unit": "ms", "better": "lower"}
    return [
        Row(case="session start (verify and seat), p50", ours=p50, value=p50, **told),  # type: ignore[arg-type]
        Row(case="session start (verify and seat), p99", ours=p99, value=p99, bar=BAR_MS, aim=AIM_MS, **told),  # type: ignore[arg-type]
    ]


async def _start(free: asyncio.Queue[Line], path: str, *, at: float) -> tuple[float, Answer]:
    """Seconds from when it should have been sent to the end of its answer."""
    await asyncio.sleep(max(0.0, at - time.perf_counter()))
    line = await free.get()
    answer = await line.get(path)
    waited = time.perf_counter() - at
    free.put_nowait(line)
    return waited, answer


def percentile(ordered: list[float], share: float) -> float:
    """The value below which `share` of an ordered list lies (nearest rank)."""
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]
