"""An object that still arrives: one source writes, any number of readers follow, none disturbs another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from gateway.edge.objects import CHUNK_BYTES, Object


class Torn(Exception):
    """The source failed half way: what was sent is a beginning, and nothing of it was kept."""


class Filling:
    """The bytes of an object as they arrive, in pieces of CHUNK_BYTES that all its readers share."""

    def __init__(self, etag: str, size: int) -> None:
        self.etag, self.size = etag, size
        self._pieces: list[bytes] = []
        self._is_over = self._is_torn = False
        self._news = asyncio.Event()

    @property
    def is_torn(self) -> bool:
        """Whether the source failed before the end."""
        return self._is_torn

    def add(self, piece: bytes) -> None:
        """One piece more: CHUNK_BYTES of it, less only where it is the last."""
        self._pieces.append(piece)
        self._wake()

    def finish(self) -> Object:
        """All is there and whole: the object."""
        self._is_over = True
        self._wake()
        return Object(self.etag, self.size, tuple(self._pieces))

    def tear(self) -> None:
        """The source failed: readers raise Torn once they are past what arrived; the bytes are let go."""
        self._is_over = self._is_torn = True
        self._wake()

    async def pieces(self, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes `[start, end)` as they arrive; whole pieces are not copied. Raises Torn."""
        offset = start - start % CHUNK_BYTES
        while offset < end:
            number = offset // CHUNK_BYTES
            while number >= len(self._pieces):
                if self._is_torn:
                    raise Torn
                await self._news.wait()
            piece = self._pieces[number]
            low, high = max(start - offset, 0), min(end - offset, len(piece))
            yield piece if high - low == len(piece) else piece[low:high]
            offset += CHUNK_BYTES

    def _wake(self) -> None:
        """Wake who waits now; who comes later waits for the next piece."""
        self._news.set()
        self._news = asyncio.Event()
