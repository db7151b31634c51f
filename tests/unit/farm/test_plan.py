"""MediaInfo → Plan."""

from __future__ import annotations

import msgspec
import pytest

from farm.media import Cover, MediaInfo, Picture, Sound
from farm.plan import Order, Plan, Recipe
from farm.planning import plan
from shared.ladder import LADDER

RECIPE = Recipe("ttl_1", "ab" * 32, "x264", "5.1.9")
SOUND = Sound(stream=1, codec="aac", rate=44100, channels=2, start_s=0.0, end_s=10.0)


def picture(rate: str = "25", frames: int = 250, **changes: object) -> Picture:
    num, _, den = rate.partition("/")
    seconds = frames * int(den or 1) / int(num)
    made = Picture(0, "h264", 1280, 720, int(num), int(den or 1), True, frames, 0.0, seconds)
    return msgspec.structs.replace(made, **changes)


def media(shown: Picture | None, sound: Sound | None = SOUND, **changes: object) -> MediaInfo:
    return msgspec.structs.replace(MediaInfo("mov", 1000, 0, shown, sound), **changes)


@pytest.mark.parametrize(
    ("rate", "frames", "segment"),
    [
        ("24000/1001", 239, 96),
        ("24", 241, 96),
        ("25", 251, 100),
        ("30000/1001", 301, 120),
        ("30", 299, 120),
        ("50", 501, 200),
        ("60000/1001", 601, 240),
        ("60", 599, 240),
    ],
)
def test_a_constant_pace_keeps_every_frame(rate: str, frames: int, segment: int) -> None:
    made = plan(media(picture(rate, frames), None), RECIPE)

    assert made.picture.frames == frames
    assert made.picture.grid.segment_frames == segment
    assert made.sound.samples == round(frames / made.picture.grid.rate * 48_000)
    assert [(piece.first_frame, piece.frames) for piece in made.pieces] == [(0, frames)]


def test_a_changing_pace_fills_the_time_it_lasts() -> None:
    made = plan(media(picture("450/29", 105, constant=False, end_s=6.75675), None), RECIPE)

    assert made.picture.frames == 162
    assert str(made.picture.grid.rate) == "24000/1001"


def test_a_doubled_pace_is_halved() -> None:
    assert plan(media(picture("120", 1200)), RECIPE).picture.frames == 600


def test_a_title_of_one_picture_holds_it_for_as_long_as_players_need() -> None:
    made = plan(media(picture(frames=1, end_s=0.04), None), RECIPE)
    assert (made.picture.frames, made.picture.hold_frames) == (13, 12)
    assert plan(media(picture(frames=25, end_s=1.0), None), RECIPE).picture.hold_frames == 0


def test_a_late_start_is_filled_with_the_first_picture() -> None:
    assert plan(media(picture(start_s=2.0, end_s=12.0)), RECIPE).picture.frames == 300


def test_sound_that_outlasts_the_picture_holds_the_last_one() -> None:
    made = plan(media(picture(), msgspec.structs.replace(SOUND, end_s=16.0)), RECIPE)

    assert (made.picture.frames, made.picture.hold_frames) == (400, 150)
    assert made.duration_s == 16.0


def test_sound_a_little_longer_is_cut() -> None:
    made = plan(media(picture(), msgspec.structs.replace(SOUND, end_s=10.9)), RECIPE)

    assert (made.picture.frames, made.picture.hold_frames, made.sound.samples) == (250, 0, 480_000)


def test_a_picture_without_sound_gets_silence() -> None:
    made = plan(media(picture(), None), RECIPE)

    assert made.sound.stream is None
    assert made.chunks == ("0", "sound", "poster", "storyboard")


def test_sound_alone_has_no_picture_and_its_cover_as_poster() -> None:
    made = plan(media(None, cover=Cover(2, 3000, 3000)), RECIPE)

    assert (made.video, made.chunks) == (None, ("sound", "poster"))
    assert (made.poster.source, made.poster.stream, made.poster.width) == ("cover", 2, 1280)
    with pytest.raises(ValueError, match="no picture"):
        _ = made.picture


def test_sound_alone_without_a_cover_gets_a_drawn_one() -> None:
    assert plan(media(None), RECIPE).poster.source == "drawn"


def test_a_title_of_sound_ignores_the_picture_but_takes_its_poster_from_it() -> None:
    made = plan(media(picture()), msgspec.structs.replace(RECIPE, sound_only=True))

    assert made.video is None
    assert made.poster.source == "frame"


def test_the_poster_is_a_tenth_in_and_at_most_1280_wide() -> None:
    made = plan(media(picture(width=3840, height=2160)), RECIPE)

    assert (made.poster.places[0], made.poster.width, made.poster.height) == (1.0, 1280, 720)


def test_the_version_is_the_same_for_the_same_plan_and_survives_json() -> None:
    made = plan(media(picture()), RECIPE)
    read = msgspec.json.decode(msgspec.json.encode(Order(made, "masters/x/y")), type=Order)

    assert read.plan.version == made.version == plan(media(picture()), RECIPE).version
    assert len(made.version) == 32


@pytest.mark.parametrize(
    "other",
    [
        {"title": "ttl_2"},
        {"master_sha256": "cd" * 32},
        {"encoder": "nvenc"},
        {"build": "9.0.2"},
        {"sound_only": True},
        {"ladder": LADDER[1:]},
    ],
)
def test_the_version_changes_with_everything_that_changes_bytes(other: dict[str, object]) -> None:
    base = media(picture(width=1920, height=1080))

    assert plan(base, RECIPE).version != plan(base, msgspec.structs.replace(RECIPE, **other)).version


def test_the_plan_names_container_protection_and_variants() -> None:
    made: Plan = plan(media(picture()), RECIPE)

    assert (made.container, made.protection, made.variants) == ("cmaf", "none", ("0",))


def test_a_longer_title_is_cut_where_its_keyframes_are() -> None:
    shown = picture(frames=25 * 100, keyframes=tuple(range(0, 100, 10)))
    made = plan(media(shown, None), RECIPE)

    assert [(piece.name, piece.first_frame // 25) for piece in made.pieces] == [
        ("0", 0),
        ("1", 8),
        ("2", 40),
        ("3", 60),
    ]
    assert made.pieces[2].seek_us == 40_000_000
    assert made.chunks == ("0", "sound", "poster", "1", "2", "3", "storyboard")


def test_the_memory_a_chunk_takes_grows_with_picture_and_ladder() -> None:
    small, large = plan(media(picture(width=640, height=360)), RECIPE), plan(media(picture()), RECIPE)
    rungs = 1280 * 720 + 854 * 480 + 640 * 360 + 426 * 240

    assert large.memory_bytes == (256 << 20) + 1280 * 720 * 3 * 16 + round(rungs * 1.5 * 52)
    assert plan(media(None), RECIPE).memory_bytes == 256 << 20 < small.memory_bytes < large.memory_bytes
