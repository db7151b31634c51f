"""Work that is told to stop while it waits for the bucket: it goes back at once, whatever it was at."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import pytest

from shared import jobs
from shared.storage import names
from shared.storage.files import FolderBucket
from tests.support import media
from tests.support.farm import TITLE, Farm

PATIENCE_S = 60


@pytest.mark.parametrize(
    ("verb", "chunk"), [("put", "0"), ("put_if_absent", "sound"), ("copy", "0"), ("head", "final")]
)
async def test_what_waits_for_the_bucket_ends_when_it_is_told_to_stop(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, verb: str, chunk: str
) -> None:
    assert await farm.probe(media.plain()) == "done"
    plan, reached = await farm.plan(), asyncio.Event()
    if chunk == "final":
        for each in plan.chunks:
            assert await farm.chunk(plan, each) == "done"

    async def never(*_: object, **__: object) -> NoReturn:
        reached.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    monkeypatch.setattr(FolderBucket, verb, never)
    working = asyncio.create_task(farm.finalise(plan) if chunk == "final" else farm.chunk(plan, chunk))
    await asyncio.wait_for(reached.wait(), PATIENCE_S)
    farm.stop.set()

    assert await asyncio.wait_for(working, PATIENCE_S) == "again"
    assert isinstance((await farm.messages())[-1], jobs.GivenBack)
    assert names.ready(TITLE, plan.version) not in await farm.keys("v/")
    assert not list((farm.on.settings.scratch_dir / "chunks").iterdir())
