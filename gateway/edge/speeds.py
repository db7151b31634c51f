"""How fast connections take bodies: who is not known to be quick gets small pieces, so that little waits for them.

The server holds five or six pieces of a body that its client does not take, whatever their size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

#: Pieces for clients that are not known to be quick.
SMALL_BYTES: Final = 4 * 1024
#: A client is quick when bytes leave at this rate, measured over so many that they cannot all lie in buffers.
QUICK_BYTES_PER_S: Final = 200_000
PROOF_BYTES: Final = 512 * 1024
#: A quick client that lets a piece wait this long is quick no more.
SLOW_S: Final = 0.5
#: Connections remembered; the oldest goes first.
REMEMBERED: Final = 16_384


class Speed:
    """One connection's."""

    __slots__ = ("_size", "_started", "_tick", "is_quick")

    def __init__(self, tick: Callable[[], float], *, is_quick: bool = False) -> None:
        self._tick = tick
        self.is_quick = is_quick
        self._started, self._size = -math.inf, 0

    def begin(self) -> None:
        """A body begins. On a connection of HTTP/1.1 the one before was taken whole, and by now."""
        tick = self._tick()
        if not self.is_quick and self._size:
            self.is_quick = self._size >= QUICK_BYTES_PER_S * (tick - self._started)
        self._started, self._size = tick, 0

    def sent(self, size: int) -> None:
        """So many bytes more have left."""
        self._size += size
        if not self.is_quick and self._size >= PROOF_BYTES:
            self.is_quick = self._size >= QUICK_BYTES_PER_S * (self._tick() - self._started)

    def waited(self, since: float) -> None:
        """A piece left that was begun at `since`."""
        if self._tick() - since > SLOW_S:
            self.is_quick = False


class Speeds:
    """Speeds by the client's address and port. Streams of HTTP/2 share a connection and prove nothing of it: each is
    quick until it waits."""

    def __init__(self, tick: Callable[[], float]) -> None:
        self._tick = tick
        self._by_client: dict[tuple[str, int], Speed] = {}

    def of(self, client: tuple[str, int] | None, http_version: str) -> Speed:
        """The speed of a connection, at the beginning of a body."""
        if client is None or http_version == "2":
            # In few steps: granian may cut a stream that is not handed over when it stops.
            return Speed(self._tick, is_quick=True)
        speed = self._by_client.get(client)
        if speed is None:
            if len(self._by_client) >= REMEMBERED:
                del self._by_client[next(iter(self._by_client))]
            speed = self._by_client[client] = Speed(self._tick)
        speed.begin()
        return speed
