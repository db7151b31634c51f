"""The way out of one connection: bytes handed to its socket, no faster than the client takes them.

Bodies go to the socket as they lie in the cache, without a copy: what waits are references.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.edge.http1.server import House

#: What is written at once of a body; the rest follows as it is taken.
AT_ONCE_BYTES: Final = 256 * 1024
#: Bodies up to this size leave in one piece with their head: copying them is cheaper than a second buffer.
JOINED_BYTES: Final = 16 * 1024


class Outlet(asyncio.Protocol):
    """What a connection writes. `date` and the clock are the house's."""

    __slots__ = ("_drain", "_house", "_is_full", "_transport", "is_lost", "since")

    def __init__(self, house: House) -> None:
        self._house = house
        self._transport: asyncio.Transport = None  # type: ignore[assignment] # until it is made
        #: Whether the client takes what was written too slowly, and who waits for it.
        self._is_full = False
        self._drain: asyncio.Future[None] | None = None
        self.is_lost = False
        #: The house's tick at which the present state began.
        self.since = house.tick

    # The loop calls these.

    def pause_writing(self) -> None:
        self._is_full = True
        self.since = self._house.tick

    def resume_writing(self) -> None:
        self._is_full = False
        self._wake()

    def connection_lost(self, _error: Exception | None) -> None:
        self.is_lost = True
        self._wake()

    # Playback and turns call these.

    @property
    def date(self) -> bytes:
        """The Date field of now."""
        return self._house.date

    def write(self, *pieces: bytes) -> None:
        """Hand bytes to the socket; those of a client that is gone are dropped."""
        if self.is_lost or self._transport.is_closing():
            return
        if len(pieces) > 1:
            self._transport.writelines([piece for piece in pieces if piece])
        else:
            self._transport.write(pieces[0])

    def put(self, fields: bytes, chunks: Sequence[bytes], size: int) -> int:
        """Write a whole answer of status 200 whose pieces have `size` bytes together: as many of the pieces as the
        client takes at once. The number of those."""
        head = self._house.ok + fields
        transport = self._transport
        if size <= JOINED_BYTES:
            transport.write(head + chunks[0] if chunks else head)
            return len(chunks)
        first = max(1, AT_ONCE_BYTES // len(chunks[0]))
        transport.writelines([head, *chunks[:first]])
        written = min(first, len(chunks))
        while written < len(chunks) and not self._is_full:
            transport.write(chunks[written])
            written += 1
        return written

    async def drained(self) -> None:
        """Wait until the client took most of what was written, or is gone."""
        while self._is_full and not self.is_lost:
            if self._drain is None or self._drain.done():
                self._drain = asyncio.get_running_loop().create_future()
            await self._drain

    @property
    def _has_unsent(self) -> bool:
        return self._transport.get_write_buffer_size() > 0

    def _wake(self) -> None:
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)
