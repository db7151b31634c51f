"""Media playlists (RFC 8216bis), and the tracks they list: lengths and rates of a finished rendition."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import msgspec

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
        least = Fraction(target_s(self.ticks, self.timescale), 2)
        rates = [self._rate(index, index + 1) for index in range(len(self.ticks)) if self._length(index) >= least]
        if len(self.ticks) > 1 and self._length(len(self.ticks) - 1) < least:
            rates.append(self._rate(len(self.ticks) - 2, len(self.ticks)))
        return max(rates, default=self.average_bps)

    def _length(self, index: int) -> Fraction:
        return Fraction(self.ticks[index], self.timescale)

    def _rate(self, first: int, after: int) -> int:
        ticks, size = sum(self.ticks[first:after]), sum(self.sizes[first:after])
        return -(-8 * size * self.timescale // ticks)


def target_s(ticks: Sequence[int], timescale: int) -> int:
    """EXT-X-TARGETDURATION: no segment, rounded, is longer."""
    return max(1, int(Fraction(max(ticks), timescale) + Fraction(1, 2)))


def media(ticks: Sequence[int], timescale: int) -> str:
    """The media playlist of one rendition: its segments' lengths on its clock."""
    lines = [
        *_HEAD,
        f"#EXT-X-TARGETDURATION:{target_s(ticks, timescale)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-MAP:URI="init.mp4"',
    ]
    for number, length in enumerate(ticks):
        lines += [f"#EXTINF:{length / timescale:.6f},", f"0/{number}.m4s"]
    return "\n".join([*lines, "#EXT-X-ENDLIST"]) + "\n"
