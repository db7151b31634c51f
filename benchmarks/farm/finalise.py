"""T8: completions of chunks that come shuffled and doubled, and stalled workers that wake and write."""

from __future__ import annotations

from datetime import UTC, datetime

from benchmarks.farm.databases import migrated
from benchmarks.farm.films import Film
from benchmarks.farm.stage import Stage
from benchmarks.report import Row
from shared.clock import ManualClock
from tests.support import farm as farms
from tests.support.completions import changed, storm
from tests.support.control import control_settings, running_control
from tests.support.ports import free_base
from tests.support.valkey import valkey

JOBS, CHUNKS, ZOMBIES = 20, 50, 125


async def rows(stage: Stage) -> list[Row]:
    """Real Postgres and Valkey, no encoder but for one short title: how often last steps began, and what changed."""
    jobs, zombies = (2, 5) if stage.quick else (JOBS, ZOMBIES)
    folder = stage.own("finalise")
    with valkey(free_base(1)) as server:
        async with migrated() as url:
            settings = control_settings(folder, database_url=url, redis_url=server.url)
            async with running_control(settings, ManualClock(datetime.now(UTC))) as control:
                ends = await storm(control, jobs=jobs, chunks=CHUNKS)
        async with farms.farm(folder / "farm", server.url, ffmpeg=stage.ffmpeg) as farm:
            await farm.probe(await stage.film(Film(size="320x180", seconds=5)))
            plan = await farm.plan()
            for chunk in plan.chunks:
                await farm.chunk(plan, chunk)
            broken = await changed(farm, plan, zombies=zombies)
    return [
        _none(
            f"T8 of {jobs} versions, finalised not exactly once by {2 * jobs * CHUNKS} completions", ends.wrong(jobs)
        ),
        _none(f"T8 published objects that {2 * zombies * len(plan.chunks)} woken workers changed", broken),
    ]


def _none(case: str, value: int) -> Row:
    return Row(case=case, ours=value, theirs=None, unit="", value=value, bar=0, better="lower")
