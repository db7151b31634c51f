"""What a probe finds in a master: streams, sizes, rates and times, without any I/O."""

from __future__ import annotations

from fractions import Fraction

import msgspec

#: Rates a picture of changing pace is brought to.
STANDARD_RATES = tuple(map(Fraction, ("24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60")))


class Picture(msgspec.Struct, frozen=True):
    """The video stream. Sizes are as shown: square pixels, after rotation. Times are seconds on the file's clock.

    `rate_num`/`rate_den` is the pace when `constant`, else the average. `frames` are those in the file. `keyframes`:
    times at which decoding may start, in seconds, at least half a second apart. `idr_steps`: lengths in frames of grids
    on which every picture is an IDR. `bps` and `peak_bps`: over the whole, and over the worst four seconds. `avcc`: the
    decoder's configuration in hex. `exact_times`: each picture lies on the constant pace to the tick.
    """

    stream: int
    codec: str
    width: int
    height: int
    rate_num: int
    rate_den: int
    constant: bool
    frames: int
    start_s: float
    end_s: float
    rotation: int = 0
    sar_num: int = 1
    sar_den: int = 1
    interlaced: bool = False
    hdr: bool = False
    keyframes: tuple[float, ...] = ()
    idr_steps: tuple[int, ...] = ()
    profile: str = ""
    level: int = 0
    pix_fmt: str = "yuv420p"
    bps: int = 0
    peak_bps: int = 0
    exact_times: bool = False
    avcc: str = ""

    @property
    def rate(self) -> Fraction:
        """Pictures a second."""
        return Fraction(self.rate_num, self.rate_den)


class Sound(msgspec.Struct, frozen=True):
    """An audio stream; times are seconds on the file's clock. `language` as ISO 639, `und` where none is named."""

    stream: int
    codec: str
    rate: int
    channels: int
    start_s: float
    end_s: float
    language: str = "und"
    title: str = ""
    default: bool = False
    layout: str = "stereo"


class Cover(msgspec.Struct, frozen=True):
    """A still that came with a sound file (an attached picture)."""

    stream: int
    width: int
    height: int


class MediaInfo(msgspec.Struct, frozen=True):
    """A master that was accepted. `demuxer` is ffmpeg's name of the sniffed container; `origin_us` its first time.

    `sound` is the stream that plays unless another is chosen; `sounds` are all.
    """

    demuxer: str
    size_bytes: int
    origin_us: int
    picture: Picture | None = None
    sound: Sound | None = None
    cover: Cover | None = None
    sounds: tuple[Sound, ...] = ()

    @property
    def origin_s(self) -> float:
        """The file's first time in seconds: what plays at zero."""
        return self.origin_us / 1e6
