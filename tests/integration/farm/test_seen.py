"""What is seen of masters that must be changed to be shown: HDR, wide pixels, fields. By pixel values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import pytest

from tests.support import media
from tests.support.farm import Farm, Made

BLACK, WHITE = 16, 235


async def luma(made: Made, at: int = 0) -> list[bytes]:
    """The rows of luma of one frame of the top rung."""
    frame = (await made.track(made.plan.picture.renditions[0].name)).decoded()[at]
    assert isinstance(frame, av.VideoFrame)
    return rows(frame)


def rows(frame: av.VideoFrame, plane: int = 0) -> list[bytes]:
    line, data, height = frame.planes[plane].line_size, bytes(frame.planes[plane]), frame.planes[plane].height
    return [data[row * line : row * line + frame.planes[plane].width] for row in range(height)]


def pq(nits: float) -> float:
    """The share of full signal for a brightness (SMPTE ST 2084)."""
    y = (nits / 10_000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375)


def tone_mapped(nits: float) -> float:
    """The luma (BT.1886, limited) that Hable's curve to 1000 nits gives a grey of that brightness."""

    def hable(x: float) -> float:
        return (x * (x * 0.15 + 0.05) + 0.004) / (x * (x * 0.15 + 0.5) + 0.06) - 0.02 / 0.3

    light = hable(nits / 100) / hable(10)
    return float(BLACK + (WHITE - BLACK) * max(0.0, light) ** (1 / 2.4))


async def greys(farm: Farm, signals: Sequence[float], transfer: str) -> list[int]:
    """The luma that four greys of an HDR master come out with; they have no colour."""
    codes = [round(64 + 876 * one) for one in signals]
    steps = f"if(lt(X,40),{codes[0]},if(lt(X,80),{codes[1]},if(lt(X,120),{codes[2]},{codes[3]})))"
    drawn = f"color=black:s=160x90:r=25:d=0.2,format=yuv420p10le,geq=lum='{steps}':cb=512:cr=512"
    told = f"setparams=color_trc={transfer}:color_primaries=bt2020:colorspace=bt2020nc"
    film = media.master(
        f"steps-{transfer}.mp4",
        *("-f", "lavfi", "-i", f"{drawn},{told}", "-c:v", "libx265", "-crf", "10", "-x265-params", "log-level=error"),
        *("-color_trc", transfer, "-color_primaries", "bt2020", "-colorspace", "bt2020nc"),
    )
    made = await farm.whole(film)

    assert made.plan.picture.tonemap
    frame = (await made.track("240")).decoded()[0]
    assert isinstance(frame, av.VideoFrame)
    for plane in (1, 2):
        assert [rows(frame, plane)[22][at // 2] for at in (20, 60, 100, 140)] == [pytest.approx(128, abs=3)] * 4
    return [rows(frame)[45][at] for at in (20, 60, 100, 140)]


async def test_hdr_keeps_its_steps_of_brightness_and_its_neutral_greys(farm: Farm) -> None:
    nits = (0.0, 10.0, 100.0, 1000.0)

    seen = await greys(farm, [pq(one) for one in nits], "smpte2084")

    assert seen == [pytest.approx(tone_mapped(one), abs=4) for one in nits]


async def test_hlg_keeps_black_white_and_what_is_between(farm: Farm) -> None:
    seen = await greys(farm, (0.0, 0.25, 0.5, 1.0), "arib-std-b67")

    assert seen == sorted(set(seen))
    assert (seen[0], seen[-1]) == (pytest.approx(BLACK, abs=4), pytest.approx(WHITE, abs=12))


@pytest.mark.parametrize(("degrees", "corner"), [("90", (0, 1)), ("180", (1, 1)), ("270", (1, 0))])
async def test_a_turned_master_is_seen_upright(farm: Farm, degrees: str, corner: tuple[int, int]) -> None:
    drawn = "color=black:s=160x90:r=25:d=0.2,drawbox=x=0:y=0:w=80:h=45:c=white:t=fill"
    flat = media.master("corner.mp4", "-f", "lavfi", "-i", drawn, *media.H264)
    turned = ("-display_rotation", degrees, "-i", str(flat), "-c", "copy")
    made = await farm.whole(media.master(f"corner-{degrees}.mp4", *turned))

    seen = await luma(made)
    high, wide = len(seen), len(seen[0])
    assert (wide > high) == (degrees == "180")
    lit = {(x, y) for x in (0, 1) for y in (0, 1) if seen[(1 + 2 * y) * high // 4][(1 + 2 * x) * wide // 4] > 128}
    assert lit == {corner}


async def test_a_square_is_a_square_again_on_wide_pixels(farm: Farm) -> None:
    drawn = "color=black:s=360x288:r=25:d=0.2,drawbox=x=100:y=96:w=66:h=96:c=white:t=fill,setsar=16/11"
    made = await farm.whole(media.master("square.mp4", "-f", "lavfi", "-i", drawn, *media.H264))

    seen = await luma(made)
    assert (len(seen[0]), len(seen)) == (426, 234)
    wide = sum(value > 128 for value in seen[117])
    high = sum(row[round(133 * 426 / 360)] > 128 for row in seen)
    assert wide == pytest.approx(high, abs=2)
    assert high == pytest.approx(96 * 234 / 288, abs=2)


def combing(seen: list[bytes]) -> float:
    """How far lines differ from the mean of their neighbours: large where two moments are woven into one frame."""
    found = [
        abs(2 * here - above - below)
        for upper, line, lower in zip(seen, seen[1:], seen[2:], strict=False)
        for above, here, below in zip(upper, line, lower, strict=True)
    ]
    return sum(found) / len(found)


@pytest.mark.parametrize(("first", "order"), [("interleave_top", "tff"), ("interleave_bottom", "bff")])
async def test_fields_of_two_moments_are_not_woven_into_one_picture(farm: Farm, first: str, order: str) -> None:
    moving = "color=black:s=160x90:r=50:d=1,drawbox=x=0:y=0:w=40:h=90:c=white:t=fill,scroll=horizontal=-0.08"
    fields = (f"{moving},tinterlace={first},setfield={order}", "-c:v", "mpeg2video", "-q:v", "2")
    film = media.master(f"moving-{order}.ts", "-f", "lavfi", "-i", *fields, "-flags", "+ildct+ilme")
    made = await farm.whole(film)

    assert combing(_decoded(film, 12)) > 5
    assert combing(await luma(made, 12)) < 1


def _decoded(path: Path, at: int) -> list[bytes]:
    with av.open(str(path)) as container:
        return rows(list(container.decode(container.streams.video[0]))[at])
