"""Chunks begin on the grid, where seeking is cheap, and last 20 to 60 seconds."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.cuts import Source, cut
from farm.grid import grid
from farm.media import STANDARD_RATES

PAL = grid(Fraction(25))


def every(seconds: float, until: float, origin: float = 0.0) -> tuple[float, ...]:
    """Keyframes of a GOP of so many seconds."""
    return tuple(origin + number * seconds for number in range(int(until / seconds) + 1))


def source(keyframes: tuple[float, ...], *, origin_us: int = 0, exact: bool = True) -> Source:
    return Source(keyframes, origin_us, exact)


def starts(frames: int, found: Source, hold: int = 0) -> list[float]:
    """Where each chunk begins, in seconds."""
    return [piece.first_frame / 25 for piece in cut(frames, PAL, found, hold_frames=hold)]


@pytest.mark.parametrize(("seconds", "begins"), [(0.04, [0]), (11.96, [0]), (12, [0, 8]), (27.96, [0, 8])])
def test_a_short_title_is_one_chunk_or_two(seconds: float, begins: list[float]) -> None:
    assert starts(round(seconds * 25), source(every(2, seconds))) == begins


def test_the_first_chunk_is_two_segments_and_the_others_about_half_a_minute() -> None:
    found = starts(25 * 600, source(every(2, 600)))

    assert found[:2] == [0, 8]
    assert all(28 <= after - before <= 32 for before, after in pairwise(found[1:]))


def test_borders_lie_where_the_keyframes_do() -> None:
    assert {at % 10 for at in starts(25 * 600, source(every(10, 600)))[2:]} == {0}


def test_a_chunk_seeks_to_the_keyframe_before_its_first_frame() -> None:
    pieces = cut(25 * 120, PAL, source(every(10, 120, origin=1.5), origin_us=1_500_000))

    assert [piece.seek_us for piece in pieces[:3]] == [-1, -1, 1_500_000 + pieces[2].first_frame * 40_000]


def test_a_chunk_seeks_earlier_where_seeking_is_a_guess() -> None:
    pieces = cut(25 * 120, PAL, source(every(10, 120), exact=False))

    assert pieces[2].seek_us == pieces[2].first_frame * 40_000 - 1_000_000


def test_a_keyframe_whose_time_was_rounded_up_still_begins_its_chunk() -> None:
    ntsc = grid(Fraction(30000, 1001))
    keyframes = tuple(round(number * 120 * 1001 / 30000 + 0.0004, 3) for number in range(60))

    for piece in cut(60 * 120, ntsc, source(keyframes))[2:]:
        assert abs(piece.seek_us - piece.first_frame * 1001 / 30000 * 1e6) < 1000


def test_a_single_keyframe_makes_few_chunks() -> None:
    found = starts(25 * 600, source((0.0,)))

    assert len(found) == 1 + -(-592 // 60)
    assert cut(25 * 600, PAL, source((0.0,)))[-1].seek_us == -1


def test_no_chunk_begins_in_what_only_repeats_the_last_picture() -> None:
    assert starts(25 * 100, source(every(2, 40)), hold=25 * 60)[-1] <= 38
    assert starts(25 * 100, source(every(2, 5)), hold=25 * 95) == [0]


@settings(deadline=None)
@given(
    st.sampled_from(STANDARD_RATES),
    st.floats(0.04, 4000),
    st.lists(st.floats(0, 4000), max_size=200),
    st.integers(-5_000_000, 5_000_000),
)
def test_chunks_cover_every_frame_once_and_keep_their_lengths(
    rate: Fraction, seconds: float, keyframes: list[float], origin_us: int
) -> None:
    on, frames = grid(rate), max(1, round(seconds * rate))
    pieces = cut(frames, on, source(tuple(sorted(keyframes)), origin_us=origin_us))

    assert pieces[0].first_frame == 0
    assert all(before.first_frame + before.frames == after.first_frame for before, after in pairwise(pieces))
    assert pieces[-1].first_frame + pieces[-1].frames == frames
    assert [piece.name for piece in pieces] == [str(number) for number in range(len(pieces))]
    assert all(piece.first_frame % on.segment_frames == 0 for piece in pieces)
    if len(pieces) > 2:
        assert all(20 <= piece.frames / rate <= 60 for piece in pieces[1:])
    for piece in pieces:
        assert piece.seek_us <= max(-1, origin_us + float((piece.first_frame + 0.5) / rate) * 1e6)
