"""Which sounds a title gets. Pure."""

from __future__ import annotations

from fractions import Fraction

from farm.grid import SOUND_FRAME, SOUND_RATE, Grid
from farm.media import MediaInfo
from farm.plan import SoundPlan


def sounds(info: MediaInfo, seconds: Fraction, on: Grid, *, loudness: bool = False) -> tuple[SoundPlan, ...]:
    """The sounds of a title that lasts `seconds`, the default one first; silence where the master has none."""
    sound = SoundPlan(
        stream=info.sound.stream if info.sound else None,
        samples=max(2 * SOUND_FRAME, round(seconds * SOUND_RATE)),
        segment_num=on.segment_s.numerator,
        segment_den=on.segment_s.denominator,
    )
    return (sound,)
