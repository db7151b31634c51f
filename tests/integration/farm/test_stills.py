"""Posters of real masters: candidates from several places, the one with the most to see first."""

from __future__ import annotations

import io
from pathlib import Path

import av
import pytest

from farm import publish
from shared import jobs
from shared.storage import names
from tests.support import farm as farms
from tests.support import media
from tests.support.farm import Farm


def colour(jpeg: bytes) -> tuple[int, int, int]:
    """The colour of a picture's middle."""
    with av.open(io.BytesIO(jpeg), "r") as container:
        frame = next(container.decode(video=0)).reformat(format="rgb24")
    plane = frame.planes[0]
    at = frame.height // 2 * plane.line_size + frame.width // 2 * 3
    red, green, blue = bytes(plane)[at : at + 3]
    return red, green, blue


def is_near(found: tuple[int, int, int], wanted: tuple[int, int, int]) -> bool:
    return all(abs(one - other) < 40 for one, other in zip(found, wanted, strict=True))


async def stills(farm: Farm, master: Path, *, kind: str = "video") -> list[bytes]:
    """The posters of a master, as the version holds them."""
    assert await farm.probe(master, kind=kind) == "done", (await farm.messages())[-1]
    plan = await farm.plan()
    assert await farm.chunk(plan, "poster") == "done", (await farm.messages())[-1]
    marker = await publish.marker(farm.bucket, plan.version, "poster")
    assert marker is not None
    await publish.copy_winner(farm.bucket, marker, title=plan.title, version=plan.version)
    count = len(marker.objects)
    return [await farm.bucket.get(names.poster(farms.TITLE, plan.version, number)) for number in range(count)]


def three_parts(*graph: str) -> tuple[str, ...]:
    """Nine seconds of three pictures, as an input."""
    parts = [f"{one}:s=160x90:r=25:d=3[p{number}]" for number, one in enumerate(graph)]
    joined = ";".join([*parts, "".join(f"[p{number}]" for number in range(3)) + "concat=n=3[out0]"])
    return ("-f", "lavfi", "-i", joined)


@pytest.mark.parametrize("ffmpeg", media.FFMPEGS.values(), ids=media.FFMPEGS)
async def test_candidates_show_different_parts_of_the_title(tmp_path: Path, redis_url: str, ffmpeg: str) -> None:
    master = media.master("parts.mp4", *three_parts("color=red", "color=lime", "color=blue"), *media.H264)
    async with farms.farm(tmp_path, redis_url, ffmpeg=ffmpeg) as farm:
        found = [colour(still) for still in await stills(farm, master)]

    assert len(found) == 3
    for wanted in ((255, 0, 0), (0, 255, 0), (0, 0, 255)):
        assert sum(is_near(one, wanted) for one in found) == 1


async def test_the_poster_is_not_the_black_one_at_the_start(farm: Farm) -> None:
    master = media.master("dark.mp4", *three_parts("color=black", "testsrc2=alpha=255", "color=gray"), *media.H264)
    first, *others = await stills(farm, master)

    assert len(others) == 2
    assert len(first) > 2 * max(map(len, others))


async def test_a_master_whose_keyframes_are_far_apart_has_three_posters_too(farm: Farm) -> None:
    one_gop = ("-g", "1000", "-keyint_min", "1000", "-sc_threshold", "0")
    master = media.master("one-gop.mp4", *three_parts("color=red", "color=lime", "color=blue"), *media.H264, *one_gop)

    assert len({colour(still) for still in await stills(farm, master)}) == 3


async def test_one_frame_gives_one_poster(farm: Farm) -> None:
    master = media.master("single.mp4", *media.picture("160x90", seconds=0.04), *media.H264)

    assert len(await stills(farm, master)) == 1


async def test_sound_alone_has_one_poster(farm: Farm) -> None:
    assert len(await stills(farm, media.master("poster.wav", *media.tone(2)), kind="audio")) == 1


@pytest.mark.parametrize("chunk", ["poster", "storyboard"])
async def test_a_worker_without_memory_is_no_reason_for_fewer_pictures(
    tmp_path: Path, redis_url: str, chunk: str
) -> None:
    """ffmpeg dies at the second thing that it is asked for."""
    killed = tmp_path / "killed"
    killed.write_text(
        f'#!/bin/sh\n[ -e {tmp_path}/once ] && kill -9 $$\n: > {tmp_path}/once; exec {media.WHEEL} "$@"\n'
    )
    killed.chmod(0o755)
    master = media.master("long-parts.mp4", *media.picture("160x90", seconds=12), *media.H264)
    async with farms.farm(tmp_path, redis_url, ffmpeg=str(killed)) as farm:
        if chunk == "storyboard":
            (tmp_path / "once").touch()
        assert await farm.probe(master) == "done"
        plan = await farm.plan()
        assert await farm.chunk(plan, chunk) == "failed"

        last = (await farm.messages())[-1]
        assert isinstance(last, jobs.Failed)
        assert (last.code, last.lost) == ("killed", True)
        assert await publish.marker(farm.bucket, plan.version, chunk) is None
