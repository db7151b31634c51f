"""Workers that stood still, wake when all is done by others, and write: no published byte changes."""

from __future__ import annotations

from shared import jobs
from tests.support import media
from tests.support.completions import changed
from tests.support.farm import Farm


async def test_no_published_byte_changes_when_stalled_workers_wake(farm: Farm) -> None:
    assert await farm.probe(media.plain()) == "done"
    plan = await farm.plan()
    for chunk in plan.chunks:
        assert await farm.chunk(plan, chunk) == "done"

    assert await changed(farm, plan, zombies=100) == 0

    assert not [message for message in await farm.messages() if isinstance(message, jobs.Failed)]
