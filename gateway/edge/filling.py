"""An object that still arrives: one source writes, any number of readers follow, none disturbs another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from gateway.edge.objects import CHUNK_BYTES, Object
from gateway.edge.room import Lease


class Torn(Exception):
    """The source failed half way: what was sent is a beginning, and nothing of it was kept."""


class Filling:
    """The bytes of an object as they arrive, in pieces of CHUNK_BYTES that all its readers share."""

    def __init__(self, etag: str, size: int, lease: Lease | None = None) -> None:
        self.etag, self.size, self._lease = etag, size, lease
        self._pieces: list[bytes] = []
        self._is_torn = False
        self._news = asyncio.Event()

    def add(self, piece: bytes) -> None:
        """One piece more: CHUNK_BYTES of it, less only where it is the last."""
        self._pieces.append(piece)
        self._wake()

    def whole(self) -> Object:
        """All has arrived: the object, of the same pieces."""
        return Object(self.etag, self.size, tuple(self._pieces), lease=self._lease)

    def tear(self) -> None:
        """The source failed: readers raise Torn, and the bytes are let go."""
        self._is_torn = True
        self._pieces.clear()
        if self._lease is not None:
            self._lease.release()
        self._wake()

    async def pieces(self, start: int, end: int) -> AsyncGenerator[bytes]:
        """The bytes `[start, end)` as they arrive; whole pieces are not copied. Raises Torn."""
        for number in range(start // CHUNK_BYTES, -(-end // CHUNK_BYTES)):
            piece = await self._piece(number)
            offset = number * CHUNK_BYTES
            low, high = max(start - offset, 0), min(end - offset, len(piece))
            yield piece if high - low == len(piece) else piece[low:high]

    async def _piece(self, number: int) -> bytes:
        while not self._is_torn and number >= len(self._pieces):
            await self._news.wait()
        if self._is_torn:
            raise Torn
        return self._pieces[number]

    def _wake(self) -> None:
        """Wake who waits now; who comes later waits for the next piece."""
        self._news.set()
        self._news = asyncio.Event()
