"""What an encoder class is: the output options of one rendition, pure."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from farm.grid import Grid
from shared.jobs import CPU_QUEUE
from shared.ladder import Rendition

#: ffmpeg's output options by name, without the dash.
Options = dict[str, str | int]


class Encoder(msgspec.Struct, frozen=True):
    """One way of making H.264. `options(rendition, grid)` closes each GOP on the grid, whatever the picture does."""

    name: str
    codec: str
    queue: str
    options: Callable[[Rendition, Grid], Options]
    #: Whether the address space of ffmpeg may be bounded (a GPU driver maps far more than it uses).
    bound_memory: bool = True


def gop(grid: Grid) -> Options:
    """One closed GOP a segment."""
    return {"g": grid.segment_frames, "keyint_min": grid.segment_frames, "flags": "+cgop+bitexact"}


def capped(rendition: Rendition) -> Options:
    """The most a rendition may spend."""
    return {"maxrate": f"{rendition.maxrate_kbps}k", "bufsize": f"{rendition.bufsize_kbits}k"}


__all__ = ["CPU_QUEUE", "Encoder", "Options", "capped", "gop"]
