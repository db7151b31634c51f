"""Which CRFs trials lead to."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm import pertitle
from farm.media import MediaInfo, Picture
from farm.plan import ChunkPlan, Plan, Recipe
from farm.planning import plan
from shared.ladder import Rendition, renditions


def planned(seconds: float, *, keyframes: tuple[float, ...] = ()) -> Plan:
    """A title of full HD whose file starts at ten seconds."""
    picture = Picture(0, "h264", 1920, 1080, 25, 1, True, round(seconds * 25), 10.0, 10 + seconds, keyframes=keyframes)
    return plan(MediaInfo("mov", 1, 10_000_000, picture), Recipe("t", "s", "x264", "b"))


@pytest.mark.parametrize(
    ("scores", "crf"),
    [
        ({22: 98.0, 27: 96.0, 32: 92.0}, 32),
        ({22: 98.0, 27: 95.0, 32: 86.0}, 29),
        ({22: 95.0, 27: 87.0, 32: 80.0}, 24),
        ({22: 85.0, 27: 80.0, 32: 75.0}, 22),
        ({22: 85.0, 27: 95.0, 32: 95.0}, 22),
        ({22: 91.0, 27: 90.0, 32: 80.0}, 22),
    ],
)
def test_the_highest_crf_that_is_good_enough_is_taken(scores: dict[int, float], crf: int) -> None:
    assert pertitle.highest(scores) == crf


@given(st.lists(st.floats(0, 100), min_size=3, max_size=3))
def test_whatever_is_measured_the_crf_is_one_that_was_tried_or_between(found: list[float]) -> None:
    assert 22 <= pertitle.highest(dict(zip((22, 27, 32), found, strict=True))) <= 32


def test_renditions_that_were_not_tried_follow_those_that_were() -> None:
    ladder = renditions(1920, 1080, 25)
    assert [one.crf for one in ladder] == [22, 22, 23, 23, 24]

    assert pertitle.spread(ladder, {"1080": 30, "480": 27}) == {"1080": 30, "720": 28, "480": 27, "360": 27, "240": 28}
    assert pertitle.spread(ladder[:1], {"1080": 26}) == {"1080": 26}


def test_the_highest_and_the_middle_rendition_are_tried_at_three_qualities() -> None:
    trial = pertitle.trial_of(planned(600))

    assert trial is not None
    assert [[(one.name, one.crf) for one in qualities] for qualities in trial.renditions] == [
        [("1080", 22), ("1080", 27), ("1080", 32)],
        [("480", 23), ("480", 28), ("480", 33)],
    ]


@pytest.mark.parametrize(("seconds", "tried"), [(7200, 4.0), (200, 4.0), (60, 1.2), (30, 0.6)])
def test_a_trial_is_a_small_part_of_the_title(seconds: float, tried: float) -> None:
    trial = pertitle.trial_of(planned(seconds))

    assert trial is not None
    assert trial.each_s * len(trial.places_s) == pytest.approx(tried)


def test_excerpts_start_at_key_frames_all_over_the_title() -> None:
    trial = pertitle.trial_of(planned(600, keyframes=tuple(10.0 + second for second in range(600))))

    assert trial is not None
    assert len(trial.places_s) == pertitle.PLACES
    assert all(place % 1 == 0 for place in trial.places_s)
    assert trial.places_s[0] < 150 < 450 < trial.places_s[-1] < 600


def test_a_short_title_a_copied_one_and_sound_alone_are_not_tried() -> None:
    def copied(made: Rendition) -> Rendition:
        return msgspec.structs.replace(made, copied=True)

    made = planned(600)
    whole = msgspec.structs.replace(made.picture, renditions=tuple(map(copied, made.picture.renditions)))

    assert pertitle.trial_of(planned(20)) is None
    assert pertitle.trial_of(msgspec.structs.replace(made, video=whole)) is None
    assert pertitle.trial_of(msgspec.structs.replace(made, video=None, pieces=())) is None


def test_a_title_of_one_piece_is_tried_a_third_in() -> None:
    made = msgspec.structs.replace(planned(60), pieces=(ChunkPlan("0", 0, 1500),))
    trial = pertitle.trial_of(made)

    assert trial is not None and trial.places_s == (20.0,)


def test_what_trials_found_is_in_the_plan_and_makes_another_version() -> None:
    info = MediaInfo("mov", 1, 0, Picture(0, "h264", 1280, 720, 25, 1, True, 100, 0.0, 4.0))
    recipe = Recipe("t", "s", "x264", "b")
    fixed, tried = plan(info, recipe), plan(info, recipe, {"720": 30, "480": 28})

    assert [one.crf for one in tried.picture.renditions] == [30, 28, 23, 24]
    assert fixed.version != tried.version
    assert fixed.version == plan(info, recipe, {}).version
