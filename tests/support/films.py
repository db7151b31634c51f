"""Films in a bucket whose every byte is known: what a player must receive, by the sha-256 of each path."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec

VERSION, EDITION, RENDITION = "ver1", "ed1", "720"


class Film(msgspec.Struct, frozen=True):
    """One published title: the sha-256 and the size of each of its objects by key."""

    title: str
    digests: dict[str, str]
    sizes: dict[str, int]

    @property
    def scope(self) -> str:
        return f"v/{self.title}/"

    @property
    def master(self) -> str:
        return f"{self.scope}e/{EDITION}/{RENDITION}.m3u8"

    @property
    def playlist(self) -> str:
        return f"{self.scope}{VERSION}/{RENDITION}/index.m3u8"

    @property
    def segments(self) -> list[str]:
        return [key for key in self.digests if key.endswith(".m4s")]

    def segment(self, number: int) -> str:
        return f"{self.scope}{VERSION}/{RENDITION}/0/{number % len(self.segments)}.m4s"


def objects(title: str, *, segments: int, size: int) -> Iterator[tuple[str, bytes]]:
    """Key and bytes of all objects of a finished title; no two segments are alike."""
    noise = random.Random(title)
    base = f"v/{title}/{VERSION}"
    for number in range(segments):
        yield f"{base}/{RENDITION}/0/{number}.m4s", noise.randbytes(size)
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:6", '#EXT-X-MAP:URI="init.mp4"']
    lines += [f"#EXTINF:6.0,\n0/{number}.m4s" for number in range(segments)]
    yield f"{base}/{RENDITION}/init.mp4", noise.randbytes(800)
    yield f"{base}/{RENDITION}/index.m3u8", "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()
    master = f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=2000000\n../../{VERSION}/{RENDITION}/index.m3u8\n"
    yield f"v/{title}/e/{EDITION}/{RENDITION}.m3u8", master.encode()
    yield f"{base}/ready.json", b"{}"


def film_in(bucket: Path, title: str = "ttl_film", *, segments: int = 8, size: int = 200_000) -> Film:
    """Write a film into a folder that is a bucket."""
    film = Film(title, {}, {})
    for key, data in objects(title, segments=segments, size=size):
        path = bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        note(film, key, data)
    return film


def note(film: Film, key: str, data: bytes) -> None:
    """Remember what an object of the film holds."""
    film.digests[key] = hashlib.sha256(data).hexdigest()
    film.sizes[key] = len(data)
