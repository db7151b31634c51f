"""Bodies on their way out: pieces sent one after the other, as fast as the client takes them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from gateway.edge.objects import CHUNK_BYTES

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


async def read(path: str, start: int, end: int) -> AsyncIterator[bytes]:
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

    send() to a client that left never raises: only receive() tells.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._send = send
        self._gone = asyncio.ensure_future(_disconnected(receive))

    async def take(self, piece: bytes, *, more: bool) -> bool:
        """Send one piece; False: the client is gone, nothing more need be sent."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": more})
        return not self._gone.done()

    async def close(self) -> None:
        """Stop listening."""
        self._gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._gone


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
