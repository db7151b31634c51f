"""The ladder: which renditions a picture gets, their sizes and rates; never above the source."""

from __future__ import annotations

from typing import Literal

import msgspec

Codec = Literal["h264", "av1"]
#: Smallest side a rendition may have.
MIN_SIDE = 16
#: A source this little smaller than a rung still gets the rung, at the source's own size.
NEARLY = 1.05
#: Pictures per second above which a rung may spend half as much again.
FAST_FPS = 31
#: The name of the ceiling, and the folder, of sound.
AUDIO_CEILING, AUDIO_RENDITION = "audio", "audio-0"


class Rung(msgspec.Struct, frozen=True):
    """One height class: constant quality `crf`, never over `maxrate_kbps` (VBV of two seconds)."""

    height: int
    crf: int
    maxrate_kbps: int
    codec: Codec = "h264"

    @property
    def name(self) -> str:
        """Its folder and its ceiling."""
        return str(self.height)


class Rendition(msgspec.Struct, frozen=True):
    """A rung fitted to one picture: even sides, none above the source.

    `level` is that of the codec times ten (H.264's 3.1 is 31), 0 where the encoder chooses. `copied`: the master's own
    bytes are this rendition.
    """

    name: str
    width: int
    height: int
    crf: int
    maxrate_kbps: int
    codec: Codec = "h264"
    level: int = 0
    copied: bool = False

    @property
    def bufsize_kbits(self) -> int:
        """Two seconds at the top rate."""
        return 2 * self.maxrate_kbps


#: Highest first. Rates are those of 16:9 at up to 30 pictures a second.
LADDER = (
    Rung(1080, crf=22, maxrate_kbps=5000),
    Rung(720, crf=22, maxrate_kbps=2800),
    Rung(480, crf=23, maxrate_kbps=1400),
    Rung(360, crf=23, maxrate_kbps=800),
    Rung(240, crf=24, maxrate_kbps=400),
)


def renditions(width: int, height: int, fps: float, *, ladder: tuple[Rung, ...] = LADDER) -> tuple[Rendition, ...]:
    """The renditions of a picture of square pixels, highest first, at least one.

    A rung of height h holds what fits 16:9 of that height (a 1920x800 film is 1080); an upright picture counts its
    shorter side. A picture smaller than every rung gets the lowest, at its own size.
    """
    fitting = [fit for rung in ladder if (fit := _fit(rung, (width, height), fps)) is not None]
    return tuple(fitting) or (_made(ladder[-1], (width, height), fps=fps),)


def _fit(rung: Rung, size: tuple[int, int], fps: float) -> Rendition | None:
    width, height = size
    scale = rung.height / min(size)
    if width > height:
        scale = min(scale, rung.height * 16 / 9 / width)
    if scale > NEARLY:
        return None
    fit = _made(rung, size, scale=min(scale, 1.0), fps=fps)
    return fit if min(fit.width, fit.height) >= MIN_SIDE else None


def _made(rung: Rung, size: tuple[int, int], *, fps: float, scale: float = 1.0) -> Rendition:
    width, height = (_even(side, scale) for side in size)
    rate = rung.maxrate_kbps * 3 // 2 if fps > FAST_FPS else rung.maxrate_kbps
    return Rendition(rung.name, width, height, rung.crf, rate)


def _even(side: int, scale: float) -> int:
    """The nearest even side to `side * scale`, not above `side`, at least 2."""
    return max(2, min(2 * round(side * scale / 2), side // 2 * 2))
