"""Trials by real ffmpeg and libvmaf, and a title planned by them."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm import engine, pertitle
from farm.plan import Plan
from shared import jobs
from tests.support import farm as farms
from tests.support import media


def easy() -> Path:
    """Half a minute of a flat card that hardly moves; its key frames are off the grid, so nothing is copied."""
    source = ("-f", "lavfi", "-i", "smptebars=size=320x180:rate=10:duration=30")
    return media.master("easy.mp4", *source, *media.H264, "-crf", "10", "-g", "33")


async def planned(farm: farms.Farm, mode: str) -> Plan:
    await farm.bucket.put_file(farms.MASTER, easy())
    ticket = jobs.ProbeTicket(farms.JOB, farms.TITLE, "upl_1", farms.MASTER, "", "video", mode=mode)  # type: ignore[arg-type]
    assert await farm.perform(ticket) == "done"
    return await farm.plan()


async def test_an_easy_title_takes_higher_crfs_than_the_ladder(farm: farms.Farm) -> None:
    fixed, tried = await planned(farm, "fixed"), await planned(farm, "per-title")

    crfs = [(one.crf, other.crf) for one, other in zip(fixed.picture.renditions, tried.picture.renditions, strict=True)]
    assert all(before < after <= before + pertitle.STEPS[-1] for before, after in crfs), crfs
    assert tried.version != fixed.version
    assert not list((farm.on.settings.scratch_dir / "chunks").iterdir())


async def test_the_same_title_is_planned_the_same_again_and_not_even_tried(
    farm: farms.Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await planned(farm, "per-title")
    (kept,) = [key for key in await farm.keys("work/") if key.endswith("trials.json")]
    await farm.bucket.delete([kept])
    assert (await planned(farm, "per-title")).version == first.version

    monkeypatch.setattr(engine, "wheel", lambda: None)
    assert (await planned(farm, "per-title")).version == first.version


async def test_without_a_judge_the_ladder_stays(farm: farms.Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "wheel", lambda: None)

    assert (await planned(farm, "per-title")).version == (await planned(farm, "fixed")).version


async def test_a_trial_that_fails_leaves_the_ladder(farm: farms.Farm, tmp_path: Path) -> None:
    made = await planned(farm, "fixed")
    broken = media.written("broken.mp4", easy().read_bytes()[:2000])
    trials = pertitle.Trials(media.WHEEL, farm.on.settings, farm.stop)

    assert await pertitle.crfs(made, broken, trials) == {}
