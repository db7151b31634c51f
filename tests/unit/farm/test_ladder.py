"""Which renditions a picture gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ladder import LADDER, MIN_SIDE, Rung, renditions


def sizes(width: int, height: int) -> list[tuple[str, int, int]]:
    return [(made.name, made.width, made.height) for made in renditions(width, height, 25)]


def test_full_hd_gets_every_rung() -> None:
    assert sizes(1920, 1080) == [
        ("1080", 1920, 1080),
        ("720", 1280, 720),
        ("480", 854, 480),
        ("360", 640, 360),
        ("240", 426, 240),
    ]


def test_an_upright_picture_counts_its_shorter_side() -> None:
    assert sizes(720, 1280) == [("720", 720, 1280), ("480", 480, 854), ("360", 360, 640), ("240", 240, 426)]


def test_a_wide_film_counts_what_fits_sixteen_to_nine() -> None:
    assert sizes(1920, 800)[:2] == [("1080", 1920, 800), ("720", 1280, 534)]


@pytest.mark.parametrize(("width", "height", "name"), [(640, 352, "360"), (1910, 1070, "1080")])
def test_a_picture_just_under_a_rung_keeps_its_size(width: int, height: int, name: str) -> None:
    assert sizes(width, height)[0] == (name, width, height)


@pytest.mark.parametrize(("width", "height"), [(160, 120), (17, 31), (101, 77)])
def test_a_tiny_picture_gets_one_rung_at_its_own_even_size(width: int, height: int) -> None:
    assert sizes(width, height) == [("240", width // 2 * 2, height // 2 * 2)]


def test_a_fast_picture_may_spend_half_as_much_again() -> None:
    assert [made.maxrate_kbps for made in renditions(1280, 720, 50)] == [4200, 2100, 1200, 600]
    assert [made.maxrate_kbps for made in renditions(1280, 720, 30)] == [2800, 1400, 800, 400]


@pytest.mark.parametrize(
    ("size", "fps", "levels"),
    [
        ((1920, 1080), 25, [40, 31, 30, 30, 21]),
        ((1920, 1080), 60, [42, 32, 31, 31, 30]),
        ((640, 360), 30, [30, 21]),
        ((64, 48), 5, [12]),
        ((1080, 8192), 60, [60, 51, 42, 40, 31]),
    ],
)
def test_each_rendition_has_the_lowest_level_that_holds_it(
    size: tuple[int, int], fps: float, levels: list[int]
) -> None:
    assert [made.level for made in renditions(*size, fps)] == levels


def test_a_level_holds_the_pictures_that_are_referred_to() -> None:
    (made,) = renditions(352, 288, 5, ladder=(Rung(288, crf=23, maxrate_kbps=100),))

    assert made.level == 12


def test_av1_chooses_its_own_level() -> None:
    (made,) = renditions(640, 360, 25, ladder=(Rung(360, crf=30, maxrate_kbps=500, codec="av1"),))

    assert (made.codec, made.level) == ("av1", 0)


@given(st.integers(MIN_SIDE, 8192), st.integers(MIN_SIDE, 8192))
def test_no_rendition_is_above_its_source_odd_or_out_of_order(width: int, height: int) -> None:
    made = renditions(width, height, 25)

    assert made
    assert all(one.width <= width and one.height <= height for one in made)
    assert all(side % 2 == 0 and side >= 2 for one in made for side in (one.width, one.height))
    heights = [int(one.name) for one in made]
    assert heights == sorted(set(heights), reverse=True)
    assert set(heights) <= {rung.height for rung in LADDER}
