"""T12: seeks into what is not made: whose turn it is next, and how soon the picture is there."""

from __future__ import annotations

import time

from benchmarks.farm.line import Line, line, long_film
from benchmarks.farm.stage import Stage
from benchmarks.report import Row
from shared.jobs import Planned
from shared.storage import names

#: Seeks, each into the last chunk that is not begun.
SEEKS = 3


async def rows(stage: Stage) -> list[Row]:
    """The worst of a few seeks; the time until a worker is free is told apart."""
    master = await long_film(stage, 360, quick=120)
    overtaken, made_s, after_s, free_s = [], [], [], []
    async with line(stage) as running:
        await running.submit(master)
        planned = await running.planned
        for _ in range(SEEKS):
            unmade = [chunk for chunk in planned.chunks if chunk.isdigit() and chunk not in running.started]
            if not unmade:
                break
            chunk, seek = unmade[-1], time.monotonic()
            seen = await running.fetch(_first_segment(running, planned, chunk))
            begun = running.started[chunk]
            overtaken.append(sum(seek + 0.5 < at < begun for name, at in running.started.items() if name != chunk))
            made_s.append(await running.done(chunk) - begun)
            after_s.append(seen - begun - made_s[-1])
            free_s.append(begun - seek)
    return [
        Row(
            case="T12 seek into the unmade: pieces of lower need that were begun before it",
            ours=float(max(overtaken)),
            theirs=None,
            unit="pieces",
            value=float(max(overtaken)),
            bar=0,
            better="lower",
        ),
        Row(
            case="T12 seek into the unmade: picture after its chunk was begun, over the chunk's own time",
            ours=max(after + made for after, made in zip(after_s, made_s, strict=True)),
            theirs=max(made_s),
            unit="s",
            value=max(after_s),
            bar=2.0,
            better="lower",
        ),
        Row(
            case="T12 seek into the unmade: until a worker was free for it",
            ours=max(free_s),
            theirs=None,
            unit="s",
            value=max(free_s),
            better="lower",
        ),
    ]


def _first_segment(running: Line, planned: Planned, chunk: str) -> str:
    frames = [piece.media_s for piece in planned.pieces if piece.chunk.isdigit() and int(piece.chunk) < int(chunk)]
    return names.segment("ttl_bench", planned.version, planned.renditions[-2].name, number=round(sum(frames) / 4))
