"""Masters of more than 2 and 4 GiB: read right wherever their bytes lie, and only as far as a chunk needs them."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from farm import cuts, parts, prober, samples
from farm.plan import Order, Plan, Recipe
from farm.planning import plan
from shared.storage import names
from shared.storage.files import FolderBucket
from tests.support import farm as farms
from tests.support import large, media
from tests.support.farm import MASTER, TITLE, Farm

SECONDS = 32
END = (4 << 30) + (1 << 29)


@pytest.fixture
def source() -> Path:
    """A keyframe a second, picture and sound by turns."""
    return media.master(
        "small.mp4",
        *media.picture("160x90", seconds=SECONDS),
        *media.tone(SECONDS),
        *(*media.H264, "-g", "25", "-c:a", "aac"),
    )


@pytest.fixture
def master(tmp_path: Path, source: Path) -> Path:
    """The same, spread over the bounds of 31 and of 32 bits; what is between is a hole."""
    factor = (END - (64 << 20)) // source.stat().st_size
    made = large.spread(source, tmp_path / "large.mp4", offset=lambda at: 4096 + at * factor, end=END)
    assert made.stat().st_blocks * 512 < 64 << 20
    return made


@pytest.fixture
async def farm(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Farm]:
    """Each segment is a chunk of its own; libav may read little of a stream to learn what it is like."""
    for name, value in {"FIRST_SEGMENTS": 1, "WHOLE_S": 4, "LEAST_S": 3, "MOST_S": 5, "WANTED_S": 4}.items():
        monkeypatch.setattr(cuts, name, value)
    monkeypatch.setattr(samples, "HEAD_BYTES", 50_000)
    async with farms.farm(tmp_path / "farm", redis_url) as made:
        yield made


async def planned(farm: Farm, master: Path) -> Plan:
    """Put a master into the bucket without a copy, and plan it."""
    there = Path(farm.on.settings.bucket) / MASTER
    there.parent.mkdir(parents=True, exist_ok=True)
    there.unlink(missing_ok=True)
    os.link(master, there)
    info = await prober.look(master, master.parent, sound_only=False)
    made = plan(info, Recipe(TITLE, "", "x264", "test"))
    await farm.bucket.put(names.plan(made.version), msgspec.json.encode(Order(made, MASTER)))
    return made


async def made(farm: Farm, plan: Plan, chunk: str) -> dict[str, bytes]:
    """What a chunk became; nothing of it stays."""
    assert await farm.chunk(plan, chunk) == "done", (await farm.messages())[-1]
    keys = await farm.keys(f"v/{plan.title}/{plan.version}/")
    found = {key: await farm.bucket.get(key) for key in keys}
    await farm.bucket.delete([*keys, *await farm.keys(f"work/{plan.version}/{chunk}/")])
    return found


async def test_chunks_of_a_large_master_are_those_of_a_small_one_and_need_little_of_it(
    farm: Farm, source: Path, master: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = await planned(farm, source)
    assert len(small.pieces) > 4
    wanted = {chunk: await made(farm, small, chunk) for chunk in small.chunks}
    farm.on.masters.drop(MASTER)
    assert await planned(farm, master) == small

    read: list[int] = []
    get = FolderBucket.get

    async def counted(self: FolderBucket, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        data = await get(self, key, start=start, length=length)
        read.extend([len(data)] if key == MASTER else [])
        return data

    async def fetch(*_: object) -> None:
        raise AssertionError("all of it was fetched")

    monkeypatch.setattr(FolderBucket, "get", counted)
    monkeypatch.setattr(FolderBucket, "fetch", fetch)
    for chunk in ("poster", *(piece.name for piece in small.pieces)):
        read.clear()
        assert await made(farm, small, chunk) == wanted[chunk], chunk
        assert read
        assert sum(read) < END / 100
    assert not list((farm.on.settings.scratch_dir / "chunks").iterdir())

    # A machine that has all of it reads that.
    copy = farm.on.settings.scratch_dir.absolute() / "masters" / hashlib.sha256(MASTER.encode()).hexdigest()[:32]
    os.link(master, copy)
    read.clear()
    for chunk in ("sound", "storyboard", small.pieces[-1].name):
        assert await made(farm, small, chunk) == wanted[chunk], chunk
    assert not read


@pytest.mark.parametrize("kind", ["fragments", "not-an-mp4"])
async def test_a_master_whose_index_does_not_tell_is_fetched_whole(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(parts, "WHOLE_BYTES", 0)
    flags = ("-movflags", "+frag_keyframe+empty_moov") if kind == "fragments" else ()
    name = "fragments.mp4" if kind == "fragments" else "clip.mkv"
    odd = media.master(name, *media.picture("160x90", seconds=9), *media.H264, *flags)
    made = await planned(farm, odd)

    assert await farm.chunk(made, "1") == "done", (await farm.messages())[-1]

    assert farm.on.masters.has(MASTER)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_stop_ends_the_fetching_of_a_part_and_leaves_nothing(
    farm: Farm, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "WHOLE_BYTES", 0)
    made = await planned(farm, source)
    asked, get = asyncio.Event(), FolderBucket.get

    async def endless(self: FolderBucket, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        if key == MASTER and length is not None and length > 4096:
            asked.set()
            await asyncio.Event().wait()
        return await get(self, key, start=start, length=length)

    monkeypatch.setattr(FolderBucket, "get", endless)
    working = asyncio.create_task(farm.chunk(made, "1"))
    await asyncio.wait([working, told := asyncio.create_task(asked.wait())], return_when=asyncio.FIRST_COMPLETED)
    farm.stop.set()

    assert await working == "again"
    assert told.done()
    assert not list((farm.on.settings.scratch_dir / "chunks").iterdir())
