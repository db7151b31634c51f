"""How a player decides: playlists read, throughput estimated, a rung chosen, a buffer that drains by the clock."""

from __future__ import annotations

import math
import re
from urllib.parse import urljoin

import msgspec

#: What is buffered before the picture starts, and what a player holds at most.
START_S, FULL_S = 4.0, 30.0
#: Share of the estimate that a rung may need.
CAUTION = 0.7
#: Half-lives of the two estimates, in seconds of download; the lower one counts, as in hls.js.
FAST_S, SLOW_S = 3.0, 9.0
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')


class Rung(msgspec.Struct, frozen=True):
    """One variant of a multivariant playlist."""

    bandwidth: int
    url: str


class Multivariant(msgspec.Struct, frozen=True):
    """Rungs, the lowest first, and the sound that goes with all of them (empty: none)."""

    rungs: tuple[Rung, ...]
    sound: str = ""


class Media(msgspec.Struct, frozen=True):
    """A media playlist: its init segment, and segments with their seconds."""

    init: str
    segments: tuple[tuple[str, float], ...]


def multivariant(text: str, url: str) -> Multivariant:
    """Read a multivariant playlist that lies at `url`. Raises ValueError when it lists nothing."""
    rungs, sound = [], ""
    lines = text.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("#EXT-X-STREAM-INF:"):
            rungs.append(Rung(int(_attributes(line)["BANDWIDTH"]), urljoin(url, following)))
        elif line.startswith("#EXT-X-MEDIA:") and not sound:
            sound = urljoin(url, _attributes(line)["URI"])
    if not rungs:
        raise ValueError("no variant is listed")
    return Multivariant(tuple(sorted(rungs, key=lambda rung: rung.bandwidth)), sound)


def media(text: str, url: str) -> Media:
    """Read a media playlist that lies at `url`. Raises ValueError when it lists nothing."""
    init, seconds, segments = "", 0.0, []
    for line in text.splitlines():
        if line.startswith("#EXT-X-MAP:"):
            init = urljoin(url, _attributes(line)["URI"])
        elif line.startswith("#EXTINF:"):
            seconds = float(line[8:].split(",")[0])
        elif line and not line.startswith("#"):
            segments.append((urljoin(url, line), seconds))
    if not segments:
        raise ValueError("no segment is listed")
    return Media(init, tuple(segments))


def _attributes(line: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(line.partition(":")[2])}


class Throughput:
    """Bits a second, from what was downloaded: two moving averages, the lower one counts."""

    def __init__(self) -> None:
        self._estimates = {FAST_S: (0.0, 0.0), SLOW_S: (0.0, 0.0)}

    def note(self, size_bytes: int, seconds: float) -> None:
        """One download that took `seconds`."""
        seconds = max(seconds, 1e-4)
        for half_life, (value, weight) in self._estimates.items():
            keep = math.pow(0.5, seconds / half_life)
            self._estimates[half_life] = (
                value * keep + 8 * size_bytes / seconds * (1 - keep),
                weight * keep + (1 - keep),
            )

    def bits_per_s(self) -> float:
        """The estimate; 0 before anything was downloaded."""
        return min(value / weight if weight else 0.0 for value, weight in self._estimates.values())


def choose(rungs: tuple[Rung, ...], bits_per_s: float) -> int:
    """The place of the best rung that fits; the lowest where none does."""
    fitting = [place for place, rung in enumerate(rungs) if rung.bandwidth <= CAUTION * bits_per_s]
    return fitting[-1] if fitting else 0


class Buffer:
    """Seconds of film at hand. Plays from START_S on, drains by the clock it is told, stalls when it is dry."""

    def __init__(self) -> None:
        self.level_s, self.stalls, self.is_playing = 0.0, 0, False
        self._at = -math.inf

    def drain(self, now: float) -> None:
        """Play on to `now`."""
        if self.is_playing:
            self.level_s -= now - self._at
            if self.level_s < 0:
                self.level_s, self.is_playing = 0.0, False
                self.stalls += 1
        self._at = now

    def add(self, seconds: float, now: float) -> bool:
        """A segment arrived; whether the picture starts by that."""
        self.drain(now)
        self.level_s += seconds
        starts = not self.is_playing and self.level_s >= START_S
        self.is_playing = self.is_playing or starts
        return starts

    def seek(self, now: float) -> None:
        """Jump to where nothing is buffered: the picture waits, which is no stall."""
        self.drain(now)
        self.level_s, self.is_playing = 0.0, False

    def wait_s(self, seconds: float, now: float) -> float:
        """How long to wait until a segment of `seconds` has room."""
        self.drain(now)
        return max(0.0, self.level_s + seconds - FULL_S)
