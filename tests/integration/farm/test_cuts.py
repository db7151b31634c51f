"""Titles of several chunks, as real plans cut them: each frame of the master once, in order."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.support import farm as farms
from tests.support import media
from tests.support.farm import Farm, Made

#: Each frame is one shade, a step lighter than the one before, from 20 up to 220.
SHADES, FIRST = 200, 20
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "4", "-pix_fmt", "yuv420p", "-bf", "2")


def shaded(name: str, *options: str, seconds: float = 45, rate: str = "25", after: tuple[str, ...] = ()) -> Path:
    """A master whose frames can be told apart."""
    shades = f"nullsrc=s=64x36:r={rate}:d={seconds},geq=mod(N\\,{SHADES})+{FIRST}:128:128"
    return media.master(name, "-f", "lavfi", "-i", shades, *after, *X264, *options)


async def frames_of(farm: Farm, master: Path) -> tuple[int, list[int]]:
    """How many chunks the title had, and which frame of the master each of its frames is."""
    made = await farm.whole(master)
    return len(made.plan.pieces), await shades_of(made)


async def shades_of(made: Made) -> list[int]:
    """Which frame of the master each of the title's frames is."""
    track = await made.track(made.plan.picture.renditions[-1].name)
    shown = [round(farms.brightness(frame) * 219 / 255 + 16) - FIRST for frame in track.decoded()]
    assert len(shown) == made.plan.picture.frames
    return shown


LONG = "keyint=250:min-keyint=250:scenecut=0"
OPEN = "keyint=75:min-keyint=75:scenecut=0:open-gop=1:b-adapt=0"


@pytest.mark.parametrize(("container", "gop"), [("mp4", LONG), ("mp4", OPEN), ("mkv", OPEN), ("ts", OPEN)])
async def test_a_cut_loses_no_frame_and_repeats_none(farm: Farm, container: str, gop: str) -> None:
    master = shaded(f"cut-{gop == OPEN}.{container}", "-x264-params", gop)
    chunks, shown = await frames_of(farm, master)

    assert chunks >= 2
    assert shown == [number % SHADES for number in range(1125)]


async def test_a_cut_at_29_97_with_times_in_milliseconds(farm: Farm) -> None:
    master = shaded("ntsc.mkv", "-g", "120", "-keyint_min", "120", rate="30000/1001", seconds=44)
    chunks, shown = await frames_of(farm, master)

    assert chunks >= 2
    assert shown == [number % SHADES for number in range(1319)]


async def test_sound_that_goes_on_for_long_holds_the_last_picture(farm: Farm) -> None:
    master = shaded("hold.mp4", "-c:a", "aac", seconds=10, after=media.tone(90))
    _, shown = await frames_of(farm, master)

    assert shown[:250] == [number % SHADES for number in range(250)]
    assert set(shown[250:]) == {249 % SHADES}
    assert len(shown) >= 2249


async def test_a_slide_that_stands_over_a_border_is_shown_on(farm: Farm) -> None:
    slow = ("-vf", "select=eq(mod(n\\,333)\\,0)", "-fps_mode", "vfr", "-g", "1")
    chunks, shown = await frames_of(farm, shaded("slides.mkv", *slow))

    assert chunks >= 2
    begins = [shown.index(shade) * 1001 / 24000 for shade in dict.fromkeys(shown)]
    assert list(dict.fromkeys(shown)) == [0, 133, 66, 199]
    assert begins == pytest.approx([0, 13.32, 26.64, 39.96], abs=0.03)
    assert sum(before != after for before, after in pairwise(shown)) == 3


@pytest.mark.parametrize("keyint", [50, 100])
async def test_a_good_master_is_shown_as_it_is_over_every_cut(farm: Farm, keyint: int) -> None:
    master = shaded(f"good-{keyint}.mp4", "-x264-params", f"keyint={keyint}:min-keyint={keyint}:scenecut=0")
    made = await farm.whole(master)
    top = made.plan.picture.renditions[0]

    assert top.copied and len(made.plan.pieces) >= 2
    assert await shades_of(made) == [number % SHADES for number in range(1125)]
    assert f'CODECS="avc1.{top.profile}{top.level:02x},' in await made.playlist(top.name)
