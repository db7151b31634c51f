"""x264: capped CRF at veryfast, the class every machine has."""

from __future__ import annotations

from farm.encoders import svtav1
from farm.encoders.base import Encoder, Options, capped, gop, levelled
from farm.grid import Grid
from shared.jobs import CPU_QUEUE
from shared.ladder import Rendition


def options(rendition: Rendition, grid: Grid) -> Options:
    """Scene cuts off: keyframes lie on the grid and nowhere else."""
    return {
        "vcodec": "libx264",
        "preset": "veryfast",
        "profile:v": "high",
        "crf": rendition.crf,
        "sc_threshold": 0,
        **gop(grid),
        **capped(rendition),
        **levelled(rendition),
    }


X264 = Encoder("x264", CPU_QUEUE, {"h264": options, "av1": svtav1.options})
