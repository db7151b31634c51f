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
#: Levels of H.264 (ITU-T H.264 table A-1), times ten: macroblocks a second, in a picture, and in the decoder's store of
#: pictures; kbit/s and kbits of buffer, for profile High a quarter more.
H264_LEVELS = (
    (10, 1_485, 99, 396, 64, 175),
    (11, 3_000, 396, 900, 192, 500),
    (12, 6_000, 396, 2_376, 384, 1_000),
    (13, 11_880, 396, 2_376, 768, 2_000),
    (20, 11_880, 396, 2_376, 2_000, 2_000),
    (21, 19_800, 792, 4_752, 4_000, 4_000),
    (22, 20_250, 1_620, 8_100, 4_000, 4_000),
    (30, 40_500, 1_620, 8_100, 10_000, 10_000),
    (31, 108_000, 3_600, 18_000, 14_000, 14_000),
    (32, 216_000, 5_120, 20_480, 20_000, 20_000),
    (40, 245_760, 8_192, 32_768, 20_000, 25_000),
    (41, 245_760, 8_192, 32_768, 50_000, 62_500),
    (42, 522_240, 8_704, 34_816, 50_000, 62_500),
    (50, 589_824, 22_080, 110_400, 135_000, 135_000),
    (51, 983_040, 36_864, 184_320, 240_000, 240_000),
    (52, 2_073_600, 36_864, 184_320, 240_000, 240_000),
    (60, 4_177_920, 139_264, 696_320, 240_000, 240_000),
    (61, 8_355_840, 139_264, 696_320, 480_000, 480_000),
    (62, 16_711_680, 139_264, 696_320, 800_000, 800_000),
)
#: H.264's profile High without constraints.
HIGH = "6400"
#: Pictures that an encoder may refer to.
REFERENCES = 4
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

    `level` is that of the codec times ten (H.264's 3.1 is 31), 0 where the encoder chooses. `profile`: H.264's profile
    and constraints in hex, as its codec's name has them (RFC 6381: `avc1.64001f` is 6400 and level 3.1). `copied`: the
    master's own bytes are this rendition.
    """

    name: str
    width: int
    height: int
    crf: int
    maxrate_kbps: int
    codec: Codec = "h264"
    level: int = 0
    copied: bool = False
    profile: str = HIGH

    def as_copied(self, *, level: int, profile: str) -> Rendition:
        """The same, made of the master's own bytes."""
        return msgspec.structs.replace(self, copied=True, level=level, profile=profile)

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
    made = Rendition(rung.name, width, height, rung.crf, rate, rung.codec)
    return msgspec.structs.replace(made, level=h264_level(made, fps)) if rung.codec == "h264" else made


def h264_level(rendition: Rendition, fps: float) -> int:
    """The lowest level of H.264 High that holds a rendition of `fps` pictures a second, times ten; 6.2 at most."""
    across, down = -(-rendition.width // 16), -(-rendition.height // 16)
    picture = across * down
    for level, a_second, most, stored, kbps, kbits in H264_LEVELS:
        if (
            picture <= most
            and max(across, down) ** 2 <= 8 * most
            and picture * fps <= a_second
            and picture * REFERENCES <= stored
            and rendition.maxrate_kbps * 4 <= kbps * 5
            and rendition.bufsize_kbits * 4 <= kbits * 5
        ):
            return level
    return H264_LEVELS[-1][0]


def _even(side: int, scale: float) -> int:
    """The nearest even side to `side * scale`, not above `side`, at least 2."""
    return max(2, min(2 * round(side * scale / 2), side // 2 * 2))
