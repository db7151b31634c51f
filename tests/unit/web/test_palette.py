"""Accent colours."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.web import palette
from gateway.web.static import FOLDER

COLOUR = st.tuples(*[st.integers(0, 255)] * 3)


@given(COLOUR)
def test_text_in_and_on_the_accent_can_be_read_when_any_colour_is_chosen(colour: palette.Rgb) -> None:
    for ground in (palette.LIGHT_GROUND, palette.DARK_GROUND):
        assert palette.contrast(palette.readable(colour, ground), ground) >= 4.5
    assert palette.contrast(palette.on(colour), colour) >= 4.5


def test_accent_stays_as_chosen_when_it_can_be_read() -> None:
    assert palette.readable((0xB4, 0x23, 0x2F), palette.LIGHT_GROUND) == (0xB4, 0x23, 0x2F)


def test_sheet_falls_back_when_a_colour_is_none() -> None:
    sheet = palette.stylesheet("red;}body{display:none", "#FFFFFF")
    assert "--accent:#b4232f" in sheet
    assert "--accent:#ffffff" in sheet
    assert "display" not in sheet


def test_grounds_are_those_of_the_sheet_when_text_is_measured() -> None:
    light, dark = (FOLDER / "css" / "tokens.css").read_text().split("@media", 1)
    for sheet in (light, dark):
        colours = {n: _rgb(v) for n, v in re.findall(r"--([\w-]+): (#[0-9a-f]{6});", sheet)}
        for ground in ("bg", "surface", "sunk"):
            assert palette.contrast(colours["line-strong"], colours[ground]) >= 3, ("line-strong", ground)
            for name in ("text", "muted", "danger", "good", "warn"):
                assert palette.contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
        for name in ("danger", "good", "warn"):
            assert palette.contrast(colours[name], colours[f"{name}-soft"]) >= 4.5, name


def _rgb(text: str) -> palette.Rgb:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
