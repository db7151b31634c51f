"""Bodies on their way out: pieces sent one after the other, as fast as the client takes them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from gateway.edge.objects import CHUNK_BYTES
from gateway.edge.speeds import SMALL_BYTES, Speed

#: The longest body that a page's beacon has (64 KiB), and some.
BEACON_BYTES: Final = 96 * 1024

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def cut(chunks: Sequence[bytes], start: int, end: int) -> list[bytes]:
    """The bytes `[start, end)` of a body in pieces; whole pieces are not copied."""
    taken, offset = [], 0
    for chunk in chunks:
        low, high = max(start - offset, 0), min(end - offset, len(chunk))
        if low < high:
            taken.append(chunk if high - low == len(chunk) else chunk[low:high])
        offset += len(chunk)
        if offset >= end:
            break
    return taken


async def read(path: str, start: int, end: int) -> AsyncGenerator[bytes]:
    """The bytes `[start, end)` of a file on disk, read in threads. Raises OSError."""
    file = await asyncio.to_thread(_open, path, start)
    try:
        while start < end:
            piece = await asyncio.to_thread(file.read, min(CHUNK_BYTES, end - start))
            if not piece:
                raise OSError(f"{path} is shorter than it was")
            start += len(piece)
            yield piece
    finally:
        await asyncio.to_thread(file.close)


def _open(path: str, start: int) -> BinaryIO:
    file = Path(path).open("rb")  # noqa: SIM115 - closed by the reader
    file.seek(start)
    return file


async def drop(receive: Receive) -> None:
    """Read the body of a request and throw it away, as far as a beacon may be long; a connection can then be kept."""
    taken = 0
    while taken <= BEACON_BYTES:
        message = await receive()
        taken += len(message.get("body", b"")) + 1
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return


class Client:
    """Who reads a body of several pieces, and whether they still do.

    send() to a client that left never raises. A connection of our own knows (`is_lost`); else only receive() tells.
    That costs a task, which a body of few pieces to a quick client does without (`is_short`).
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        speed: Speed,
        may_go_on: Callable[[], bool],
        tick: Callable[[], float],
        is_lost: Callable[[], bool] | None = None,
        is_short: bool = False,
    ) -> None:
        self._send, self._speed, self._may_go_on, self._tick = send, speed, may_go_on, tick
        self._is_lost = is_lost
        self._gone: asyncio.Task[None] | None = None
        if is_lost is None and not (is_short and speed.is_quick):
            self._gone = asyncio.ensure_future(left(receive))
            self._is_lost = self._gone.done
        #: Bytes handed over so far.
        self.sent = 0

    async def take(self, chunk: bytes, *, more: bool) -> bool:
        """Send one chunk, in small pieces where the client is not quick. False: nothing more need be sent, for the
        client is gone or its session was ended."""
        if self._speed.is_quick:
            since = self._tick()
            await self._put(chunk, more=more)
            self._speed.waited(since)
            return not self._is_gone and (not more or self._may_go_on())
        for start in range(0, len(chunk), SMALL_BYTES):
            is_last = start + SMALL_BYTES >= len(chunk)
            await self._put(chunk[start : start + SMALL_BYTES], more=more or not is_last)
            if self._is_gone or ((more or not is_last) and not self._may_go_on()):
                return False
        self._speed.sent(len(chunk))
        return True

    @property
    def _is_gone(self) -> bool:
        return self._is_lost is not None and self._is_lost()

    async def _put(self, piece: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": piece, "more_body": more})
        self.sent += len(piece)

    async def close(self) -> None:
        """Stop listening."""
        if self._gone is None:
            return
        self._gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._gone


async def left(receive: Receive) -> None:
    """Wait until the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
