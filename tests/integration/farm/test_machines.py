"""A machine or a bucket that cannot work for a while: nothing is lost by it, and others make what it takes."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from farm import fitting, publish, tasks
from shared import jobs
from shared.errors import StoreUnavailable
from shared.need import WorkerState
from shared.storage import names
from tests.support import farm as farms
from tests.support import media
from tests.support.farm import Farm


@pytest.mark.parametrize(
    ("body", "worker", "code", "is_left"),
    [
        ("", "other", "not-started", True),
        ("echo No space left on device >&2; exit 1", "other", "no-space", True),
        ("", "w", "not-started", False),
        ("", "resting", "not-started", False),
        ("kill -9 $$", "other", "killed", False),
        ("exit 1", "other", "encode-failed", False),
    ],
)
async def test_a_machine_that_cannot_work_leaves_a_plan_to_the_others(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch, body: str, worker: str, code: str, is_left: bool
) -> None:
    """An ffmpeg without a body is not there. Who is alone tries again, and what was killed may be made at once."""
    left = fitting.Left()
    monkeypatch.setattr(tasks, "LEFT", left)
    ffmpeg = tmp_path / "ffmpeg"
    if body:
        ffmpeg.write_text(f"#!/bin/sh\n{body}\n")
        ffmpeg.chmod(0o755)
    async with farms.farm(tmp_path, redis_url, ffmpeg=str(ffmpeg)) as farm:
        assert await farm.probe(media.plain()) == "done"
        plan = await farm.plan()
        await farm.on.needs.tell(WorkerState(worker, jobs.QUEUES, "x264", "test"))
        await farm.on.needs.cordon("resting", "cordon")
        await farm.offer(plan, "0")

        assert await farm.next("w") == "failed"

        last = (await farm.messages())[-1]
        assert isinstance(last, jobs.Failed) and (last.code, last.final) == (code, False)
        assert left.plans() == ((plan.version,) if is_left else ())
        await farm.offer(plan, "0")
        assert await farm.next("w") == ("idle" if is_left else "failed")


async def test_what_is_made_and_could_not_be_shown_is_shown_by_the_next_who_takes_it(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await farm.probe(media.plain()) == "done"
    plan = await farm.plan()
    await farm.offer(plan, "0")

    async def away(*_: object, **__: object) -> NoReturn:
        raise StoreUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(publish, "copy_winner", away)
        patch.setattr(tasks, "AGAIN_S", 0.0)
        assert await farm.next() == "again"
    assert isinstance((await farm.messages())[-1], jobs.GivenBack)
    assert await publish.marker(farm.bucket, plan.version, "0") is not None

    assert await farm.next() == "done"

    told = [type(message) for message in await farm.messages()]
    assert (told.count(jobs.ChunkDone), told.count(jobs.Started)) == (1, 2), "one is the probe's"
    assert await farm.bucket.head(names.segment(plan.title, plan.version, "240", number=0)) is not None
