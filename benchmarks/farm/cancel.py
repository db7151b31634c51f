"""How soon workers are free whose job its seller cancels."""

from __future__ import annotations

import asyncio

from benchmarks.farm.databases import migrated
from benchmarks.farm.films import Film
from benchmarks.farm.stage import Stage
from benchmarks.report import Row
from tests.support.mill import mill, running

CANCELS, MEDIA_S = 10, 120
#: Looks for a job at work, a tenth of a second apart.
LOOKS = 1200


async def rows(stage: Stage) -> list[Row]:
    """Two real workers, and one job after the other cancelled by the API while they are at it."""
    wanted = 2 if stage.quick else CANCELS
    master = await stage.film(Film(size="160x90", seconds=MEDIA_S))
    took: list[float] = []
    async with migrated() as url, mill(stage.own("cancel"), url, lease_s=15) as farm:
        for number in range(wanted):
            await farm.submit(master, seller=f"studio{number}")
        async with running(farm):
            for _ in range(LOOKS):
                if (seconds := await farm.cancel()) is None:
                    await asyncio.sleep(0.1)
                else:
                    took.append(seconds)
                if len(took) == wanted:
                    break
            else:
                raise AssertionError(f"{len(took)} of {wanted} jobs were at work: {farm.log()}")
    stage.say(f"cancelled: workers free after {', '.join(f'{one:.2f}' for one in sorted(took))} s")
    slowest = max(took)
    case = f"cancel: until no worker holds any of the job, slowest of {wanted}"
    return [Row(case=case, ours=slowest, theirs=None, unit="s", value=slowest, bar=2.0, better="lower")]
