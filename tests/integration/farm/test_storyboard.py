"""Storyboards of real masters: the picture that a cue of the index names is the one shown at its time."""

from __future__ import annotations

import io
import re
from pathlib import Path

import av
import pytest

from farm import publish
from shared.storage import names
from tests.support import farm as farms
from tests.support import media
from tests.support.farm import Farm

#: Seconds at which the picture changes, and to what (rgb).
PARTS = ((0, (255, 0, 0)), (4, (0, 255, 0)), (8, (0, 0, 255)), (12, (255, 255, 255)))
COLOURS = ("red", "lime", "blue", "white")


def changing(name: str, *more: str) -> Path:
    """Fourteen seconds in four colours."""
    lengths = zip(COLOURS, (4, 4, 4, 2), strict=True)
    parts = [f"color={one}:s=320x180:r=25:d={length}[p{number}];" for number, (one, length) in enumerate(lengths)]
    graph = "".join(parts) + "[p0][p1][p2][p3]concat=n=4[out0]"
    return media.master(name, "-f", "lavfi", "-i", graph, *media.H264, *more)


async def storyboard(farm: Farm, master: Path) -> tuple[str, dict[str, av.VideoFrame]]:
    """The index of a master's storyboard, and its sheets."""
    assert await farm.probe(master) == "done", (await farm.messages())[-1]
    plan = await farm.plan()
    assert plan.chunks[-1] == "storyboard"
    assert await farm.chunk(plan, "storyboard") == "done", (await farm.messages())[-1]
    marker = await publish.marker(farm.bucket, plan.version, "storyboard")
    assert marker is not None
    await publish.copy_winner(farm.bucket, marker, title=plan.title, version=plan.version)
    text = await farm.bucket.get(names.sprites_index(farms.TITLE, plan.version))
    sheets = {}
    for number in range(plan.board.sheets(plan.duration_s)):
        jpeg = await farm.bucket.get(names.sprite(farms.TITLE, plan.version, number))
        with av.open(io.BytesIO(jpeg), "r") as container:
            sheets[f"{number}.jpg"] = next(container.decode(video=0)).reformat(format="rgb24")
    return text.decode(), sheets


def seconds(clock: str) -> float:
    hours, minutes, rest = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def shown(text: str, sheets: dict[str, av.VideoFrame]) -> list[tuple[float, tuple[int, ...]]]:
    """When each cue begins, and the colour in the middle of its picture."""
    cues = re.findall(r"(\S+) --> \S+\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)\n", text)
    answer = []
    for start, sheet, *box in cues:
        left, top, width, height = map(int, box)
        frame = sheets[sheet]
        assert left + width <= frame.width and top + height <= frame.height
        at = (top + height // 2) * frame.planes[0].line_size + (left + width // 2) * 3
        answer.append((seconds(start), tuple(bytes(frame.planes[0])[at : at + 3])))
    return answer


def wanted(at_s: float) -> tuple[int, int, int]:
    return [colour for start, colour in PARTS if start <= at_s][-1]


@pytest.mark.parametrize("ffmpeg", media.FFMPEGS.values(), ids=media.FFMPEGS)
async def test_each_cue_names_the_picture_of_its_time(tmp_path: Path, redis_url: str, ffmpeg: str) -> None:
    master = changing("changing.mp4", "-g", "25", "-keyint_min", "25")
    async with farms.farm(tmp_path, redis_url, ffmpeg=ffmpeg) as farm:
        found = shown(*await storyboard(farm, master))

    assert [start for start, _ in found] == list(range(14))
    for start, colour in found:
        assert colour == pytest.approx(wanted(start), abs=40), start


async def test_far_keyframes_fill_the_time_up_to_the_next(farm: Farm) -> None:
    found = shown(*await storyboard(farm, changing("far.mkv", "-g", "100", "-keyint_min", "100")))

    assert [start for start, _ in found] == list(range(14))
    for start, colour in found:
        assert colour == pytest.approx(wanted(start), abs=40), start


@pytest.mark.parametrize("params", ["open-gop=1:keyint=25", "intra-refresh=1:keyint=25"])
async def test_pictures_change_where_hardly_any_is_marked_as_a_keyframe(farm: Farm, params: str) -> None:
    found = shown(*await storyboard(farm, changing(f"{params[:4]}.mp4", "-preset", "veryfast", "-x264-params", params)))

    for start, colour in found:
        assert colour == pytest.approx(wanted(start), abs=40), start


async def test_an_upright_master_has_upright_pictures(farm: Farm) -> None:
    master = media.master("upright.mp4", *media.picture("90x160", rate="10", seconds=11), *media.H264)
    text, sheets = await storyboard(farm, master)

    assert "0.jpg#xywh=90,0,90,160" in text
    assert {(frame.width, frame.height) for frame in sheets.values()} == {(450, 480)}


async def test_what_a_finished_version_says_of_its_storyboard_is_there(farm: Farm) -> None:
    made = await farm.whole(changing("whole.mp4"))

    assert made.ready.has_storyboard
    assert names.sprite(farms.TITLE, made.plan.version, 0) in await farm.keys("v/")
