"""Segments lie on whole frames, for every rate."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.grid import SOUND_FRAME, SOUND_RATE, constant_rate, grid, sound_segments, video_segments
from farm.media import STANDARD_RATES

RATES = st.sampled_from(STANDARD_RATES)


@pytest.mark.parametrize(
    ("rate", "frames", "timescale", "ticks"),
    [
        ("24000/1001", 96, 24000, 1001),
        ("24", 96, 12288, 512),
        ("25", 100, 12800, 512),
        ("30000/1001", 120, 30000, 1001),
        ("30", 120, 15360, 512),
        ("50", 200, 12800, 256),
        ("60000/1001", 240, 60000, 1001),
        ("60", 240, 15360, 256),
    ],
)
def test_the_grid_of_each_standard_rate(rate: str, frames: int, timescale: int, ticks: int) -> None:
    made = grid(Fraction(rate))

    assert (made.segment_frames, made.timescale, made.frame_ticks) == (frames, timescale, ticks)
    assert Fraction(made.timescale, made.frame_ticks) == Fraction(rate)


@pytest.mark.parametrize(
    ("rate", "constant", "shown"),
    [
        ("25", True, "25"),
        ("25/2", True, "25/2"),
        ("120", True, "60"),
        ("120000/1001", True, "60000/1001"),
        ("90", True, "45"),
        ("240", True, "60"),
        ("1", True, "24000/1001"),
        ("450/29", False, "24000/1001"),
        ("29.9", False, "30000/1001"),
        ("24", False, "24000/1001"),
        ("24.5", False, "25"),
        ("59", False, "60000/1001"),
        ("200", False, "60"),
    ],
)
def test_the_constant_fps_rule(rate: str, constant: bool, shown: str) -> None:
    assert constant_rate(Fraction(rate), constant=constant) == Fraction(shown)


@given(st.integers(1, 1_000_000), RATES)
def test_video_segments_hold_every_frame_once(frames: int, rate: Fraction) -> None:
    step = grid(rate).segment_frames
    segments = video_segments(frames, step)

    assert sum(segments) == frames
    assert all(count == step for count in segments[:-1])
    assert 0 < segments[-1] <= step


@given(st.integers(2 * SOUND_FRAME, 3 * 3600 * SOUND_RATE), RATES)
def test_sound_segments_hold_every_frame_once_and_follow_the_picture(samples: int, rate: Fraction) -> None:
    step = grid(rate).segment_s
    segments = sound_segments(samples, step)

    assert sum(segments) == -(-samples // SOUND_FRAME)
    assert min(segments) > 0
    for number, border in enumerate(accumulate(segments[:-1]), 1):
        assert abs(Fraction(border * SOUND_FRAME, SOUND_RATE) - number * step) <= Fraction(SOUND_FRAME, 2 * SOUND_RATE)


@given(st.fractions(min_value=Fraction(1, 100), max_value=1000), st.booleans())
def test_every_rate_is_shown_at_a_pace_players_know(rate: Fraction, constant: bool) -> None:
    shown = constant_rate(rate, constant=constant)

    assert 5 <= shown <= 60
    assert grid(shown).segment_frames >= 1
