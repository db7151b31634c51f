"""A film of noise in the bucket: a ladder of four rungs and sound, with the playlists a farm would write."""

from __future__ import annotations

import os
import random
from pathlib import Path

from benchmarks.stage import TITLE

#: Height → bits a second. Three hundred players take about 40 MB/s of these, which two cores carry beside the players:
#: segments of 100 to 600 KB, and sound of 48 KB.
LADDER = {240: 200_000, 360: 400_000, 480: 700_000, 720: 1_200_000}
SOUND_BITS_PER_S = 96_000
SEGMENT_S, SEGMENTS = 4, 150
VERSION, EDITION = "film", "ed1"
MASTER = f"v/{TITLE}/e/{EDITION}/720.m3u8"


def fill(bucket: Path) -> str:
    """Write the film; the key of its multivariant playlist."""
    for rendition, bits_per_s in renditions().items():
        folder = bucket / "v" / TITLE / VERSION / rendition
        _segments(folder, size=bits_per_s * SEGMENT_S // 8)
        (folder / "init.mp4").write_bytes(b"init" * 200)
        (folder / "index.m3u8").write_text(media_playlist())
    (bucket / "v" / TITLE / VERSION / "ready.json").write_text("{}")
    master = bucket / MASTER
    master.parent.mkdir(parents=True)
    master.write_text(multivariant_playlist())
    return MASTER


def renditions() -> dict[str, int]:
    """Folder → bits a second."""
    return {str(height): bits for height, bits in LADDER.items()} | {"audio-0": SOUND_BITS_PER_S}


def _segments(folder: Path, *, size: int) -> None:
    """One body under all names: the disk holds it once, a cache as often as it is asked for."""
    (folder / "0").mkdir(parents=True)
    first = folder / "0" / "0.m4s"
    first.write_bytes(random.Random(folder.name).randbytes(size))
    for index in range(1, SEGMENTS):
        os.link(first, folder / "0" / f"{index}.m4s")


def media_playlist() -> str:
    """All segments, of one length."""
    head = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{SEGMENT_S}", "#EXT-X-PLAYLIST-TYPE:VOD"]
    head.append('#EXT-X-MAP:URI="init.mp4"')
    body = [f"#EXTINF:{SEGMENT_S:.3f},\n0/{index}.m4s" for index in range(SEGMENTS)]
    return "\n".join((*head, *body, "#EXT-X-ENDLIST", ""))


def multivariant_playlist() -> str:
    """The ladder with its sound."""
    base = f"../../{VERSION}"
    lines = ["#EXTM3U", f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",DEFAULT=YES,URI="{base}/audio-0/index.m3u8"']
    for height, bits in LADDER.items():
        bandwidth = bits + SOUND_BITS_PER_S
        lines.append(f'#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},RESOLUTION={height * 16 // 9}x{height},AUDIO="a"')
        lines.append(f"{base}/{height}/index.m3u8")
    return "\n".join((*lines, ""))
