"""Room in bytes for what is on its way: who finds none waits for his turn."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator


class Room:
    """`size` bytes shared by all who are inside; first come, first served."""

    def __init__(self, size: int) -> None:
        self._size = self.free = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @contextlib.asynccontextmanager
    async def taken(self, wanted: int, *, timeout_s: float) -> AsyncIterator[None]:
        """`wanted` bytes of room while the block runs; all of it for who wants more. Raises TimeoutError."""
        wanted = min(wanted, self._size)
        async with asyncio.timeout(timeout_s):
            await self._take(wanted)
        try:
            yield
        finally:
            self._give(wanted)

    async def _take(self, wanted: int) -> None:
        if not self._waiting and wanted <= self.free:
            self.free -= wanted
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the turn came, and so did the end
                self._give(wanted)
            else:
                self._waiting.remove((wanted, turn))
                self._give(0)
            raise

    def _give(self, back: int) -> None:
        self.free += back
        while self._waiting and self._waiting[0][0] <= self.free:
            wanted, turn = self._waiting.popleft()
            self.free -= wanted
            turn.set_result(None)
