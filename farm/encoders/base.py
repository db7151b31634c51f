"""What an encoder class is: the output options of one rendition by its codec, and what it needs of a card; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from farm.grid import Grid
from shared.errors import EncodeFailed
from shared.ladder import Codec, Rendition

#: ffmpeg's output options by name, without the dash.
Options = dict[str, str | int]
Maker = Callable[[Rendition, Grid], Options]


class Encoder(msgspec.Struct, frozen=True):
    """One way of making renditions. Each maker closes each GOP on the grid, whatever the picture does.

    `card`: a CUDA card decodes and scales where it can. `on_card`: the codecs that its encoder unit makes, one session
    a rendition; all others are made by the CPU.
    """

    name: str
    queue: str
    makers: Mapping[Codec, Maker]
    card: bool = False
    on_card: frozenset[Codec] = frozenset()

    @property
    def bound_memory(self) -> bool:
        """Whether the address space of ffmpeg may be bounded (a GPU driver maps far more than it uses)."""
        return not self.card

    def options(self, rendition: Rendition, grid: Grid) -> Options:
        """The output options of a rendition. Raises EncodeFailed for a codec that this class does not make."""
        maker = self.makers.get(rendition.codec)
        if maker is None:
            raise EncodeFailed(f"{self.name} makes no {rendition.codec}", code="no-codec")
        return maker(rendition, grid)

    def sessions(self, renditions: Iterable[Rendition]) -> int:
        """How many sessions of a card's encoder unit these renditions take at once."""
        return sum(made.codec in self.on_card and not made.copied for made in renditions)


def gop(grid: Grid) -> Options:
    """One closed GOP a segment."""
    return {"g": grid.segment_frames, "keyint_min": grid.segment_frames, "flags": "+cgop+bitexact"}


def capped(rendition: Rendition) -> Options:
    """The most a rendition may spend."""
    return {"maxrate": f"{rendition.maxrate_kbps}k", "bufsize": f"{rendition.bufsize_kbits}k"}


def levelled(rendition: Rendition) -> Options:
    """The level that the plan names, so that playlists may name it before a byte is there."""
    return {"level:v": f"{rendition.level // 10}.{rendition.level % 10}"} if rendition.level else {}
