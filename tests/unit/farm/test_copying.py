"""When the master's own picture is the top rendition."""

from __future__ import annotations

import msgspec
import pytest

from farm.copying import CONDITIONS, why_not
from farm.media import MediaInfo, Picture, Sound
from farm.plan import Plan, Recipe
from farm.planning import plan

GOOD = Picture(
    stream=0,
    codec="h264",
    width=1280,
    height=720,
    rate_num=25,
    rate_den=1,
    constant=True,
    frames=500,
    start_s=0.0,
    end_s=20.0,
    keyframes=tuple(map(float, range(0, 20, 2))),
    idr_steps=(100, 50),
    profile="Main",
    level=31,
    bps=2_500_000,
    peak_bps=4_000_000,
    exact_times=True,
    avcc="014d401fffe1",
)
RECIPE = Recipe("ttl_1", "ab" * 32, "x264", "5.1.9")


def made(picture: Picture = GOOD, **changes: object) -> Plan:
    return plan(msgspec.structs.replace(MediaInfo("mov", 1000, 0, picture), **changes), RECIPE)


def test_a_good_master_is_the_top_rendition_as_it_is() -> None:
    top, *others = made().picture.renditions

    assert (top.name, top.copied, top.level, top.profile) == ("720", True, 31, "4d40")
    assert all(not one.copied and one.profile == "6400" for one in others)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"codec": "hevc"}, "not H.264"),
        ({"profile": "High 10"}, "profile"),
        ({"level": 60}, "level"),
        ({"level": 0}, "level"),
        ({"pix_fmt": "yuv422p"}, "4:2:0"),
        ({"pix_fmt": "yuvj420p"}, "4:2:0"),
        ({"hdr": True}, "HDR"),
        ({"interlaced": True}, "interlaced"),
        ({"rotation": 180}, "turned"),
        ({"sar_num": 2}, "square"),
        ({"width": 2560, "height": 1440}, "size"),
        ({"width": 1279}, "size"),
        ({"constant": False}, "pace"),
        ({"rate_num": 100}, "pace"),
        ({"exact_times": False}, "one step apart"),
        ({"start_s": 0.04}, "start at zero"),
        ({"idr_steps": ()}, "stands alone"),
        ({"idr_steps": (50,)}, "stands alone"),
        ({"bps": 2_900_000}, "rate is too high"),
        ({"bps": 0}, "rate is too high"),
        ({"peak_bps": 4_300_000}, "in places"),
        ({"avcc": ""}, "configuration"),
    ],
)
def test_any_other_is_encoded_for_a_reason_in_words(changes: dict[str, object], words: str) -> None:
    shown = msgspec.structs.replace(GOOD, **changes)
    info = MediaInfo("mov", 1000, 0, shown)
    planned = plan(info, RECIPE)

    assert not any(one.copied for one in planned.picture.renditions)
    assert words in why_not(info, shown, planned.picture)


def test_a_picture_in_another_container_or_shorter_than_the_sound_is_encoded() -> None:
    sound = Sound(1, "aac", 48_000, 2, 0.0, 25.0)

    assert not made(demuxer="matroska").picture.renditions[0].copied
    assert not made(sound=sound, sounds=(sound,)).picture.renditions[0].copied


def test_each_condition_has_its_own_words() -> None:
    assert len({words for words, _ in CONDITIONS}) == len(CONDITIONS)
