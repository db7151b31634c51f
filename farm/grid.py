"""The grid: at which frames and samples segments begin, exact for every rate."""

from __future__ import annotations

from fractions import Fraction

import msgspec

from farm.media import STANDARD_RATES

#: Seconds a segment lasts, to the nearest whole frame.
SEGMENT_S = 4
#: The pace a title may have; faster ones are divided, slower ones treated as changing.
MAX_FPS, MIN_FPS = 60, 5
#: A video track's clock runs at least this fast.
MIN_TIMESCALE = 10_000
#: Sound is 48 kHz AAC: samples a second, samples in a frame.
SOUND_RATE, SOUND_FRAME = 48_000, 1024


class Grid(msgspec.Struct, frozen=True):
    """Frames of `rate_den/rate_num` seconds, `segment_frames` to a segment, on a clock of `timescale` ticks."""

    rate_num: int
    rate_den: int
    segment_frames: int
    timescale: int
    frame_ticks: int

    @property
    def rate(self) -> Fraction:
        """Pictures a second."""
        return Fraction(self.rate_num, self.rate_den)

    @property
    def segment_s(self) -> Fraction:
        """Seconds a full segment lasts."""
        return self.segment_frames / self.rate


def constant_rate(rate: Fraction, *, constant: bool) -> Fraction:
    """The constant-fps rule: the pace a picture is shown at.

    A constant pace of 5-60 stays as it is; a faster one is divided by the smallest whole number that brings it to 60
    or less. A changing or slower pace becomes the lowest standard rate that is not under its average (less 1 %).
    """
    if constant and rate >= MIN_FPS:
        return rate / -(-rate // MAX_FPS)
    return next((standard for standard in STANDARD_RATES if standard >= rate * 99 / 100), STANDARD_RATES[-1])


def grid(rate: Fraction) -> Grid:
    """The grid of a constant pace."""
    doubled = 1
    while rate.numerator * doubled < MIN_TIMESCALE:
        doubled *= 2
    frames = max(1, round(SEGMENT_S * rate))
    return Grid(rate.numerator, rate.denominator, frames, rate.numerator * doubled, rate.denominator * doubled)


def video_segments(frames: int, segment_frames: int) -> list[int]:
    """How many frames each segment holds; they sum to `frames`."""
    full, rest = divmod(frames, segment_frames)
    return [segment_frames] * full + ([rest] if rest else [])


def sound_segments(samples: int, segment_s: Fraction) -> list[int]:
    """How many AAC frames each segment holds: each border is the frame nearest to the picture's border.

    They sum to the frames that `samples` fill; a rest of less than half a frame joins the segment before it.
    """
    total = -(-samples // SOUND_FRAME)
    per_segment = segment_s * SOUND_RATE / SOUND_FRAME
    borders = [0]
    while (border := round(len(borders) * per_segment)) < total:
        borders.append(border)
    return [after - before for before, after in zip(borders, [*borders[1:], total], strict=True)]
