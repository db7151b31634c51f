"""How far each rendition is: finished fragments in the files that grow, refined by ffmpeg's own frame count."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path


class Growing:
    """A fragmented MP4 that is being written; counts its complete fragments, reading only box headers."""

    def __init__(self, path: Path) -> None:
        self._path, self._at, self.fragments = path, 0, 0

    def look(self) -> int:
        """Fragments complete by now."""
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, 2)
                while self._at + 8 <= size:
                    file.seek(self._at)
                    length, kind = struct.unpack(">I4s", file.read(8))
                    if length < 8 or self._at + length > size:
                        break
                    self._at += length
                    self.fragments += kind == b"mdat"
        except OSError:
            pass
        return self.fragments


def fractions(files: Mapping[str, Growing], *, segments: int, frames: int, frame: int) -> dict[str, float]:
    """0…1 for each rendition: its finished segments, and of the one in work what the frame count says."""
    overall = frame / frames if frames else 0.0
    found = {}
    for name, file in files.items():
        done = file.look()
        found[name] = min(1.0, max(done / segments, min(overall, (done + 1) / segments)))
    return found
