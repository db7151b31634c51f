"""What lies in the bucket of a bench: noise under the names that media has."""

from __future__ import annotations

import os
import random
from pathlib import Path

from benchmarks.stage import TITLE

RENDITION = "720"


def segment(version: str, index: int, *, rendition: str = RENDITION) -> str:
    """The key of a segment."""
    return f"v/{TITLE}/{version}/{rendition}/0/{index}.m4s"


def fill(bucket: Path, version: str, *, size: int, number: int) -> list[str]:
    """`number` different segments of `size` bytes, and what makes their version a whole one; their keys."""
    keys = [segment(version, index) for index in range(number)]
    for index, key in enumerate(keys):
        _write(bucket / key, random.Random(f"{version}/{index}").randbytes(size))
    _complete(bucket, version)
    return keys


def fill_linked(bucket: Path, version: str, *, size: int, number: int) -> list[str]:
    """As `fill`, with one body under all names: no cache has seen any of them, and the disk holds it once."""
    keys = fill(bucket, version, size=size, number=1)
    for index in range(1, number):
        keys.append(segment(version, index))
        os.link(bucket / keys[0], bucket / keys[-1])
    return keys


def playlist(bucket: Path) -> str:
    """A multivariant playlist; its key."""
    key = f"v/{TITLE}/e/ed1/1080.m3u8"
    _write(bucket / key, b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000000\n../../s1536/720/index.m3u8\n")
    return key


def _complete(bucket: Path, version: str) -> None:
    folder = bucket / "v" / TITLE / version
    _write(folder / RENDITION / "index.m3u8", b"#EXTM3U\n")
    _write(folder / "ready.json", b"{}")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
