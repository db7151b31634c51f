"""A version in a folder bucket that is played while it is made: outline and playlists are there, its bytes come."""

from __future__ import annotations

from pathlib import Path

import msgspec

from shared.jobs import Outline
from tests.support.edge import TITLE

VERSION = "ver2"
#: Chunks "0" of two segments and "1" of three; the sound is one.
OUTLINE = Outline("job_1", 20.0, {"720": 5, "audio-0": 5}, (("0", 0, 2), ("1", 2, 3)), ("audio-0",))
INIT = f"v/{TITLE}/{VERSION}/720/init.mp4"
SOUND = f"v/{TITLE}/{VERSION}/audio-0/0/0.m4s"
BYTES = bytes(reversed(range(256))) * 2000


def segment(number: int, rendition: str = "720") -> str:
    """A segment of it."""
    return f"v/{TITLE}/{VERSION}/{rendition}/0/{number}.m4s"


def begin(bucket: Path) -> None:
    """What the probe publishes."""
    put(bucket, f"v/{TITLE}/{VERSION}/grid.json", msgspec.json.encode(OUTLINE))
    for rendition in OUTLINE.segments:
        put(bucket, f"v/{TITLE}/{VERSION}/{rendition}/index.m3u8", b"#EXTM3U\n0/0.m4s\n")


def put(bucket: Path, key: str, data: bytes = BYTES) -> None:
    """A worker brings an object, whole at once."""
    path = bucket / key
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_bytes(data)
    beside.rename(path)
