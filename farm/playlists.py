"""HLS playlists (RFC 8216bis) of a finished version: relative, and the same bytes for every viewer of a ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import msgspec

from shared.ladder import AUDIO_CEILING

#: The multivariant playlist starts with the highest rendition up to this, so that native players begin modestly.
FIRST_HEIGHT = 720
_HEAD = ("#EXTM3U", "#EXT-X-VERSION:7")


class Track(msgspec.Struct, frozen=True):
    """A finished rendition: its folder, codec, clock, and each segment's length in ticks and size in bytes."""

    name: str
    codec: str
    timescale: int
    ticks: tuple[int, ...]
    sizes: tuple[int, ...]
    width: int = 0
    height: int = 0

    @property
    def seconds(self) -> Fraction:
        """How long it lasts."""
        return Fraction(sum(self.ticks), self.timescale)

    @property
    def average_bps(self) -> int:
        """Bits a second over the whole."""
        return -int(-(8 * sum(self.sizes)) // self.seconds)

    @property
    def peak_bps(self) -> int:
        """The highest rate of any stretch of whole segments of 0.5 to 1.5 target durations (RFC 8216 4.3.4.2)."""
        least = Fraction(self.target_s, 2)
        rates = [self._rate(index, index + 1) for index in range(len(self.ticks)) if self._length(index) >= least]
        if len(self.ticks) > 1 and self._length(len(self.ticks) - 1) < least:
            rates.append(self._rate(len(self.ticks) - 2, len(self.ticks)))
        return max(rates, default=self.average_bps)

    @property
    def target_s(self) -> int:
        """EXT-X-TARGETDURATION: no segment, rounded, is longer."""
        return max(1, max(int(self._length(index) + Fraction(1, 2)) for index in range(len(self.ticks))))

    def _length(self, index: int) -> Fraction:
        return Fraction(self.ticks[index], self.timescale)

    def _rate(self, first: int, after: int) -> int:
        ticks, size = sum(self.ticks[first:after]), sum(self.sizes[first:after])
        return -(-8 * size * self.timescale // ticks)


class Presentation(msgspec.Struct, frozen=True):
    """The tracks of a version: pictures highest first (none for sound alone) at one rate, and their sound."""

    version: str
    pictures: tuple[Track, ...]
    sound: Track
    rate: Fraction = Fraction(0)


def media(track: Track) -> str:
    """The media playlist of one rendition."""
    lines = [
        *_HEAD,
        f"#EXT-X-TARGETDURATION:{track.target_s}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-MAP:URI="init.mp4"',
    ]
    for number, ticks in enumerate(track.ticks):
        lines += [f"#EXTINF:{ticks / track.timescale:.6f},", f"0/{number}.m4s"]
    return _text([*lines, "#EXT-X-ENDLIST"])


def multivariant(shown: Presentation, pictures: Sequence[Track]) -> str:
    """The playlist of a ceiling: those `pictures` (none for sound alone), with their sound."""
    lines, version, sound = [*_HEAD, "#EXT-X-INDEPENDENT-SEGMENTS"], shown.version, shown.sound
    if not pictures:
        lines += [
            f"#EXT-X-STREAM-INF:BANDWIDTH={sound.peak_bps},AVERAGE-BANDWIDTH={sound.average_bps},"
            f'CODECS="{sound.codec}"',
            _link(version, sound),
        ]
        return _text(lines)
    lines.append(
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="Original",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",'
        f'URI="{_link(version, sound)}"'
    )
    for track in _ordered(pictures):
        lines += [
            f"#EXT-X-STREAM-INF:BANDWIDTH={track.peak_bps + sound.peak_bps},"
            f"AVERAGE-BANDWIDTH={track.average_bps + sound.average_bps},"
            f'CODECS="{track.codec},{sound.codec}",RESOLUTION={track.width}x{track.height},'
            f'FRAME-RATE={float(shown.rate):.3f},AUDIO="sound"',
            _link(version, track),
        ]
    return _text(lines)


def ceilings(shown: Presentation) -> dict[str, str]:
    """All multivariant playlists of an edition by ceiling, highest first."""
    if not shown.pictures:
        return {AUDIO_CEILING: multivariant(shown, ())}
    return {top.name: multivariant(shown, shown.pictures[index:]) for index, top in enumerate(shown.pictures)}


def _ordered(pictures: Sequence[Track]) -> list[Track]:
    first = next((track for track in pictures if int(track.name) <= FIRST_HEIGHT), pictures[-1])
    return [first, *(track for track in pictures if track is not first)]


def _link(version: str, track: Track) -> str:
    return f"../../{version}/{track.name}/index.m3u8"


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
