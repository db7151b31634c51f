"""T9: how soon a long master can be watched, of the time its whole making takes."""

from __future__ import annotations

import asyncio

from benchmarks.farm.line import WORKERS, line, long_film
from benchmarks.farm.stage import Stage
from benchmarks.report import Row
from shared.storage import names


async def rows(stage: Stage) -> list[Row]:
    """From the offer of the probe until a player at the edge has the first segments of picture and sound."""
    master = await long_film(stage, 600, quick=36)
    async with line(stage) as running:
        begun = await running.submit(master)
        planned = await running.planned
        version = (names.version_prefix("ttl_bench", planned.version), planned.edition)
        lowest = planned.renditions[-2].name
        keys = [f"{version[0]}{name}/{part}" for name in (lowest, "audio-0") for part in ("init.mp4", "0/0.m4s")]
        top = names.multivariant("ttl_bench", planned.edition, planned.ceilings[0])
        first = max(await asyncio.gather(*(running.fetch(key) for key in (top, *keys)))) - begun
        whole = await running.ready - begun
    stage.say(f"planned, made in {len(planned.chunks)} pieces by {WORKERS} workers of one thread")
    return [
        Row(
            case=f"T9 first playable segments of {planned.duration_s:.0f} s, of the whole making",
            ours=first,
            theirs=whole,
            unit="s",
            value=first / whole,
            bar=0.05,
            better="lower",
        )
    ]
