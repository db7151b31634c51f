"""The portal's accent colours as CSS: whatever is chosen, text on and beside them stays readable (WCAG 2.2, 1.4.3)."""

from __future__ import annotations

import re

Rgb = tuple[int, int, int]

_HEX = re.compile(r"#[0-9a-fA-F]{6}\Z")
#: The darkest and lightest grounds that accent-coloured text stands on (tokens.css: --sunk, --surface).
LIGHT_GROUND, DARK_GROUND = (0xF1, 0xEE, 0xE9), (0x1C, 0x1A, 0x19)
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
DEFAULT_LIGHT, DEFAULT_DARK = "#b4232f", "#ff6b6f"
READABLE = 4.5


def stylesheet(accent: str, accent_dark: str) -> str:
    """The sheet served as /portal.css; a colour that is none gives the default."""
    light, dark = _parse(accent, DEFAULT_LIGHT), _parse(accent_dark, DEFAULT_DARK)
    return (
        f":root{{{_variables(light, LIGHT_GROUND, WHITE)}--accent-on-film:{_css(readable(light, BLACK, ratio=3))}}}\n"
        f"@media (prefers-color-scheme: dark){{:root{{{_variables(dark, DARK_GROUND, DARK_GROUND)}"
        f"--accent-on-film:{_css(readable(dark, BLACK, ratio=3))}}}}}\n"
    )


def contrast(one: Rgb, other: Rgb) -> float:
    """The contrast ratio of two colours, 1 to 21."""
    brighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def readable(colour: Rgb, ground: Rgb, *, ratio: float = READABLE) -> Rgb:
    """`colour`, moved towards black or white no further than it needs for `ratio` on `ground`."""
    goal = max((BLACK, WHITE), key=lambda end: contrast(end, ground))
    steps = (_mix(colour, goal, step / 20) for step in range(21))
    return next((shade for shade in steps if contrast(shade, ground) >= ratio), goal)


def on(colour: Rgb) -> Rgb:
    """White on `colour` where it can be read, else black."""
    return WHITE if contrast(WHITE, colour) >= READABLE else BLACK


def _variables(accent: Rgb, ground: Rgb, soft_ground: Rgb) -> str:
    text = readable(accent, ground)
    return (
        f"--accent:{_css(accent)};--on-accent:{_css(on(accent))};--accent-text:{_css(text)};"
        f"--accent-soft:{_css(_mix(soft_ground, accent, 0.12))};--focus:{_css(text)};"
    )


def _parse(text: str, default: str) -> Rgb:
    text = text if _HEX.match(text) else default
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _css(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _mix(one: Rgb, other: Rgb, share: float) -> Rgb:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _luminance(colour: Rgb) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
