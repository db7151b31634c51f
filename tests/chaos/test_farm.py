"""Kills of workers, pool processes, ffmpeg and Redis while titles are made: each becomes ready, and once."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support import media
from tests.support.mill import COMPLETED, COUNTS, PLAYABLE, mill, running

#: `make chaos` asks for more rounds: then fifty kills, work for all of them, and leases as long as in production.
IS_LONG = int(os.environ.get("USHER_CHAOS_ROUNDS", "1")) > 1
KILLS, TITLES = (50, 60) if IS_LONG else (4, 1)
#: Long enough that a busy machine does not starve a worker past it: a piece whose lease was lost is made once more.
LEASE_S = 15 if IS_LONG else 5
RESUMED_S = 16.0
MEDIA_S = 120


async def test_every_title_becomes_ready_once_whatever_is_killed(tmp_path: Path, database_url: str) -> None:
    film = (*media.picture("160x90", seconds=MEDIA_S), *media.tone(MEDIA_S), *media.H264, "-g", "50")
    master = media.master("long.mp4", *film)
    async with mill(tmp_path, database_url, lease_s=LEASE_S) as farm:
        titles = {await farm.submit(master, seller=f"studio{number}") for number in range(TITLES)}
        async with running(farm):
            kills = await farm.kills(KILLS)
            rows = await farm.over()
        chunks = await farm.control.rows("select count(*)::int as n from job_chunk where chunk ~ '^[0-9]+$'")
        assert {row["id"]: row["state"] for row in rows} == dict.fromkeys(titles, "done"), rows
        assert sorted(row["job"] for row in await farm.control.rows(COMPLETED)) == sorted(titles)
        assert sorted(row["job"] for row in await farm.control.rows(PLAYABLE)) == sorted(titles)
        assert len(kills) == KILLS
        assert farm.encodes() <= chunks[0]["n"] + len(kills), kills
        assert (await farm.control.rows(COUNTS))[0]["failures"] == 0, "no kill is the master's fault"
        if IS_LONG:
            assert max(kill.resumed_s for kill in kills) <= RESUMED_S, kills
