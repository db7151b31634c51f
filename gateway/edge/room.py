"""Room in bytes: what is on its way, what is kept, and what slow readers still hold share one bound."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable


class Room:
    """`size` bytes; who finds none waits for his turn. `make_room` is asked to let go of what nobody needs."""

    def __init__(self, size: int, *, make_room: Callable[[int], None] = lambda _: None) -> None:
        self._size = self.free = size
        self._make_room = make_room
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    async def lease(self, wanted: int, *, timeout_s: float) -> Lease:
        """`wanted` bytes, all of them for who wants more. Raises TimeoutError."""
        wanted = min(wanted, self._size)
        if (lease := self.lease_now(wanted)) is not None:
            return lease
        async with asyncio.timeout(timeout_s):
            await self._turn(wanted)
        return Lease(self, wanted)

    def lease_now(self, wanted: int) -> Lease | None:
        """`wanted` bytes, if they are to be had at once."""
        if wanted > self.free:
            self._make_room(wanted)
        if self._waiting or wanted > self.free:
            return None
        self.free -= wanted
        return Lease(self, wanted)

    async def _turn(self, wanted: int) -> None:
        turn: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((wanted, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the turn came, and so did the end
                self.give(wanted)
            else:
                self._waiting.remove((wanted, turn))
                self.give(0)
            raise

    def give(self, back: int) -> None:
        """Take bytes back, from whatever thread."""
        if threading.get_ident() != self._thread:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and all with it
                self._loop.call_soon_threadsafe(self.give, back)
            return
        self.free += back
        while self._waiting and self._waiting[0][0] <= self.free:
            wanted, turn = self._waiting.popleft()
            self.free -= wanted
            turn.set_result(None)


class Lease:
    """Bytes of a room, given back when they are released or nobody holds this any more."""

    __slots__ = ("_room", "_size")

    def __init__(self, room: Room, size: int) -> None:
        self._room, self._size = room, size

    def release(self) -> None:
        """Give the bytes back; a second time is nothing."""
        size, self._size = self._size, 0
        self._room.give(size)

    def __del__(self) -> None:
        self.release()
