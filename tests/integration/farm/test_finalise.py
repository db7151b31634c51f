"""What is published while real chunks come, in whatever order, and what is added at the end."""

from __future__ import annotations

import re
from pathlib import Path

from farm import early
from shared import jobs
from shared.storage import names
from tests.support import farm as farms
from tests.support import media
from tests.support.completions import published
from tests.support.farm import JOB, TITLE, Farm, Made

ATTRIBUTES = re.compile(r'([A-Z-]+)=("[^"]*"|[^,]*)')


def variants(playlist: str) -> dict[str, dict[str, str]]:
    """The attributes of each variant by its address."""
    lines = playlist.splitlines()
    return {
        lines[at + 1]: dict(ATTRIBUTES.findall(line))
        for at, line in enumerate(lines)
        if line.startswith("#EXT-X-STREAM-INF:")
    }


async def test_what_the_probe_publishes_is_what_comes_out(farm: Farm) -> None:
    master = media.master("early.mp4", *media.picture("640x360", seconds=9), *media.tone(9), *media.H264)
    assert await farm.probe(master) == "done"
    planned = (await farm.messages())[-1]
    assert isinstance(planned, jobs.Planned)
    assert (planned.edition != "", planned.ceilings) == (True, ("360", "240"))
    before = await published(farm)
    plan = await farm.plan()
    for chunk in plan.chunks:
        assert await farm.chunk(plan, chunk) == "done"
    assert await farm.finalise(plan) == "done"

    made = Made(plan, farm.bucket, (await farm.messages())[-1])
    assert before.items() <= (await published(farm)).items()
    for ceiling in planned.ceilings:
        key = names.multivariant(TITLE, planned.edition, ceiling)
        told = variants((await farm.bucket.get(key)).decode())
        measured = variants(await made.playlist(ceiling))
        assert told.keys() == measured.keys()
        for address, attributes in measured.items():
            expected = told[address]
            for rate in ("BANDWIDTH", "AVERAGE-BANDWIDTH"):
                assert int(attributes.pop(rate)) <= 1.02 * int(expected.pop(rate))
            assert attributes == expected


async def test_real_chunks_give_the_same_version_forwards_and_backwards(tmp_path: Path, redis_url: str) -> None:
    master = media.master("orders.mkv", *media.clap(11, at=6, rate="25"), *media.H264, "-c:a", "aac")
    versions = []
    for turn in (1, -1):
        async with farms.farm(tmp_path / str(turn), redis_url) as farm:
            await farm.probe(master)
            plan = await farms.in_pieces(farm, await farm.plan(), segments=1)
            await early.publish(farm.bucket, plan, job=JOB)
            for chunk in plan.chunks[::turn]:
                assert await farm.chunk(plan, chunk) == "done"
            assert await farm.finalise(plan) == "done"
            versions.append(await published(farm))
    assert len(versions[0]) > 12
    assert versions[0] == versions[1]
