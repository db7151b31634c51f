"""What the cache hands out: an object whole in RAM, or one on local disk; one that still arrives is a Filling."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import msgspec

#: Bodies leave in pieces of this size: bigger ones fill the sockets of slow readers, smaller ones cost more calls.
CHUNK_BYTES: Final = 128 * 1024


class Object(msgspec.Struct):
    """An object in memory: strong ETag with its quotes, and the bytes in pieces ready to send.

    `whole` and `fields` belong to the hot path, which keeps the headers of a whole answer there: to players, and to
    pages.
    `fresh_until` is the tick after which a playlist of an unfinished version must be asked for again.
    """

    etag: str
    size: int
    chunks: tuple[bytes, ...]
    whole: tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]] | None = None
    fields: tuple[bytes, bytes] | None = None
    fresh_until: float = math.inf
    #: Holds the room these bytes take for as long as anybody reads them.
    lease: object = None


class Filed(msgspec.Struct, frozen=True):
    """An object on local disk, verified; `path` may be opened for 30 s, even where it is evicted meanwhile."""

    etag: str
    size: int
    path: str


def in_pieces(data: memoryview) -> Iterator[bytes]:
    """`data` as `bytes` of at most CHUNK_BYTES; never a memoryview, which the server copies byte by byte."""
    for start in range(0, len(data), CHUNK_BYTES):
        yield bytes(data[start : start + CHUNK_BYTES])
