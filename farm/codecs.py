"""Names of codecs (RFC 6381) that are known before a byte is made. Pure."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from shared.ladder import Rendition

#: AAC-LC, whatever its channels.
SOUND: Final = "mp4a.40.2"
#: Levels of AV1 (annex A.3): number in the name, samples in a picture, width, height, samples shown a second.
_AV1_LEVELS: Final = (
    (0, 147_456, 2048, 1152, 4_423_680),
    (1, 278_784, 2816, 1584, 8_363_520),
    (4, 665_856, 4352, 2448, 19_975_680),
    (5, 1_065_024, 5504, 3096, 31_950_720),
    (8, 2_359_296, 6144, 3456, 70_778_880),
    (9, 2_359_296, 6144, 3456, 141_557_760),
    (12, 8_912_896, 8192, 4352, 267_386_880),
    (13, 8_912_896, 8192, 4352, 534_773_760),
    (14, 8_912_896, 8192, 4352, 1_069_547_520),
    (16, 35_651_584, 16384, 8704, 1_069_547_520),
)


def of(rendition: Rendition, rate: Fraction) -> str:
    """The picture of a rendition at `rate`: H.264 as the rendition says, or AV1 Main of 8 bits and the lowest level."""
    if rendition.codec == "h264":
        return f"avc1.{rendition.profile}{rendition.level:02x}"
    return f"av01.0.{_av1_level(rendition, rate):02d}M.08"


def _av1_level(rendition: Rendition, rate: Fraction) -> int:
    width, height = rendition.width, rendition.height
    for number, samples, most_wide, most_high, shown in _AV1_LEVELS:
        fits = width <= most_wide and height <= most_high and width * height <= samples
        if fits and width * height * rate <= shown:
            return number
    return _AV1_LEVELS[-1][0]
