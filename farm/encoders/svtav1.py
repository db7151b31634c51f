"""SVT-AV1: capped CRF, for rungs whose codec is AV1; made by the CPU in every class."""

from __future__ import annotations

from farm.encoders.base import Options, capped
from farm.grid import Grid
from shared.ladder import Rendition

#: Of 13; about as fast as x264's medium.
PRESET = 10


def options(rendition: Rendition, grid: Grid) -> Options:
    """Scene cuts off; one closed GOP a segment."""
    return {
        "vcodec": "libsvtav1",
        "preset": PRESET,
        "crf": rendition.crf,
        "svtav1-params": "scd=0",
        "g": grid.segment_frames,
        "flags": "+cgop+bitexact",
        **capped(rendition),
    }
