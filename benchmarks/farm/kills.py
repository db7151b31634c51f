"""T7: kills of workers, pool processes, ffmpeg and Redis while titles are made."""

from __future__ import annotations

from typing import Literal

from benchmarks.farm.databases import migrated
from benchmarks.farm.films import Film
from benchmarks.farm.stage import Stage
from benchmarks.report import Row
from tests.support.mill import COMPLETED, VICTIMS, mill, running

KILLS, TITLES, MEDIA_S = 50, 60, 120


async def rows(stage: Stage) -> list[Row]:
    """Two workers with leases of 15 s, an ffmpeg that waits before it works, a Redis that forgets when it is killed."""
    wanted, titles = (4, 1) if stage.quick else (KILLS, TITLES)
    master = await stage.film(Film(size="160x90", seconds=MEDIA_S))
    async with migrated() as url, mill(stage.own("kills"), url, lease_s=15) as farm:
        for number in range(titles):
            await farm.submit(master, seller=f"studio{number}")
        async with running(farm):
            kills = await farm.kills(wanted)
            ended = await farm.over()
        completed = [row["job"] for row in await farm.control.rows(COMPLETED)]
        chunks = await farm.control.rows("select count(*)::int as n from job_chunk where chunk ~ '^[0-9]+$'")
    for victim in VICTIMS:
        took = sorted(kill.resumed_s for kill in kills if kill.victim == victim)
        stage.say(f"{victim}: {len(took)} kills, resumed after {', '.join(f'{one:.1f}' for one in took)} s")
    finished = sum(row["state"] == "done" for row in ended) / len(ended)
    again = max(0, farm.encodes() - chunks[0]["n"]) / max(1, len(kills))
    slowest = max((kill.resumed_s for kill in kills), default=0.0)
    return [
        _row("T7 kills at work", len(kills), bar=wanted, better="higher"),
        _row("T7 titles that are ready after them", finished, bar=1.0, better="higher"),
        _row("T7 titles finalised twice", len(completed) - len(set(completed)), bar=0),
        _row("T7 chunks made again a kill", again, bar=1),
        _row("T7 until work goes on or is next in line, slowest", slowest, bar=16, unit="s"),
    ]


def _row(case: str, value: float, *, bar: float, unit: str = "", better: Literal["higher", "lower"] = "lower") -> Row:
    return Row(case=case, ours=value, theirs=None, unit=unit, value=value, bar=bar, better=better)
