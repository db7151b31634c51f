"""One request that is not answered at once: its `receive` and `send`, as ASGI has them, on a connection."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Final

from gateway.edge.http1 import heads

if TYPE_CHECKING:
    from gateway.edge.http1.connection import Connection

#: Bytes of a request's body that wait to be read; then the client must.
BODY_BYTES: Final = 64 * 1024
_BODILESS = frozenset((204, 304))


class Turn:
    """What is read and written for one request. Nothing is queued but what `send` was called with last."""

    __slots__ = (
        *("_body", "_connection", "_expects", "_head", "_is_bodiless", "_is_cut", "_is_read", "_left", "_wake"),
        *("closes", "has_all", "is_done", "is_started", "task"),
    )
    #: What answers it.
    task: asyncio.Task[None]

    def __init__(self, connection: Connection, *, is_head: bool, closes: bool, expects: bool) -> None:
        self._connection, self._expects = connection, expects
        self._body, self._wake = bytearray(), asyncio.Event()
        #: Whether the end of the request's body was told of, and whether it will not come.
        self._is_read = self._is_cut = False
        self._head, self._left, self._is_bodiless = b"", -1, is_head
        #: Whether the request's body is here whole, and the answer's head and end are out.
        self.has_all = self.is_started = self.is_done = False
        #: Whether the connection ends with this answer.
        self.closes = closes

    def take(self, piece: bytes) -> None:
        """A piece of the request's body came."""
        self._body += piece
        self._expects = False
        self._wake.set()

    @property
    def is_full(self) -> bool:
        """Whether the client should wait until more of its body is read."""
        return len(self._body) > BODY_BYTES

    def wake(self) -> None:
        """The body is whole, or the client is gone."""
        self._wake.set()

    def cut(self) -> None:
        """The rest of the body will not come."""
        self._is_cut = True
        self._wake.set()

    async def receive(self) -> MutableMapping[str, Any]:
        """The request's body, then the end of the connection or of the answer."""
        if self._expects and not (self.has_all or self.is_started):
            self._expects = False
            self._connection.write(heads.CONTINUE)
        while not self._body:
            if self._connection.is_lost or self.is_done or self._is_cut:
                return {"type": "http.disconnect"}
            if self.has_all and not self._is_read:
                self._is_read = True
                return {"type": "http.request", "body": b"", "more_body": False}
            self._wake.clear()
            await self._wake.wait()
        piece = bytes(self._body)
        self._body.clear()
        self._connection.read_on()
        return {"type": "http.request", "body": piece, "more_body": True}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Head and body, waiting while the client does not take what was sent; nothing once it is gone."""
        if message["type"] == "http.response.start":
            self._begin(message["status"], message["headers"])
            return
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        if self._is_bodiless:
            body = b""
        elif self._left >= 0:
            body = body[: self._left] if len(body) > self._left else body
            self._left -= len(body)
        head, self._head = self._head, b""
        connection = self._connection
        await connection.drained()
        if head or body:
            connection.write(head, body)
        if more:
            await connection.drained()
            return
        self.is_done = True
        self._wake.set()

    @property
    def is_short(self) -> bool:
        """Whether the body ended before its length: nobody must take it for whole."""
        return not self.is_done or (self._left > 0 and not self._is_bodiless)

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.is_started = True
        self._is_bodiless = self._is_bodiless or status in _BODILESS
        says_so = heads.CLOSE in headers
        for name, value in headers:
            if name == b"content-length":
                self._left = int(value)
        has_no_length = self._left < 0 and not self._is_bodiless
        # Without a length the end of the connection is that of the body; what still comes of the request is not read.
        self.closes = self.closes or says_so or has_no_length or not self.has_all
        fields = heads.fields(headers)
        if self.closes and not says_so:
            fields += heads.fields((heads.CLOSE,))
        self._head = heads.line(status) + self._connection.date + fields + b"\r\n"
