"""One connection of HTTP/1.1: requests in their order, answered at once where all is at hand, else by a task.

httptools reads requests (llhttp, strict). Bodies are handed to the socket as they lie in the cache, without a copy, and
no faster than the client takes them: what waits are references.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Final, cast

import httptools

from gateway.edge.exchange import Exchange
from gateway.edge.http1 import heads
from gateway.edge.http1.requests import Request, origin_form, scope
from gateway.edge.http1.turn import Turn
from shared import log

if TYPE_CHECKING:
    from gateway.edge.http1.server import House

#: Bytes of a request's head, its address among them.
HEAD_BYTES: Final = 32 * 1024
#: What is written at once, and what may wait unwritten before the next piece of a body must.
AT_ONCE_BYTES: Final = 256 * 1024
HIGH_BYTES: Final = 64 * 1024
LOW_BYTES: Final = 32 * 1024
#: Bodies up to this size leave in one piece with their head: copying them is cheaper than a second buffer.
JOINED_BYTES: Final = 16 * 1024
#: How long a client may go on sending what nobody reads after it was refused.
LINGER_S: Final = 2.0
_MEDIA: Final = (b"/t/", b"/v/")


class _TooLarge(Exception):
    """The head is larger than HEAD_BYTES."""


class Connection(asyncio.Protocol):
    """One client's. `date` and the clock are the house's."""

    __slots__ = (
        *("_client", "_closing", "_drain", "_exchange", "_headers", "_house", "_in_head", "_is_broken", "_is_full"),
        *("_parser", "_reading", "_request", "_size", "_transport", "_turn", "_url", "_waiting"),
        *("is_lost", "since"),
    )

    def __init__(self, house: House) -> None:
        self._house = house
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport = None  # type: ignore[assignment] # until it is made
        self._client: tuple[str, int] = ("", 0)
        #: The head that is being read.
        self._url, self._size, self._in_head = b"", 0, False
        self._headers: list[tuple[bytes, bytes]] = []
        #: The request whose body is being read, those that wait, and the one that is being answered.
        self._request: Request | None = None
        self._waiting: deque[Request] = deque()
        self._turn: Turn | None = None
        self._exchange: Exchange | None = None
        self._reading = True
        #: Whether what follows cannot be read, and whether nothing more is to be answered.
        self._is_broken = self._closing = False
        #: Whether the client takes what was written too slowly, and who waits for it.
        self._is_full = False
        self._drain: asyncio.Future[None] | None = None
        self.is_lost = False
        #: The house's tick at which the present state began.
        self.since = house.tick

    # The loop calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)
        transport.set_write_buffer_limits(high=HIGH_BYTES, low=LOW_BYTES)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self._client = peer[:2]
        if not self._house.welcome(self):
            self.refuse(503, "This edge holds as many connections as it may; try again in a moment.")

    def data_received(self, data: bytes) -> None:
        if self._is_broken or self._closing:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing else is spoken here: the request is answered, and what follows it is not read.
            self._is_broken = True
            self._close_last()
        except httptools.HttpParserError as error:
            self._fail(error)
        if self._in_head:
            self._size += len(data)
            if self._size > HEAD_BYTES:
                self._broken(431, f"The head of a request may have {HEAD_BYTES} bytes.")

    def pause_writing(self) -> None:
        self._is_full = True
        self.since = self._house.tick

    def resume_writing(self) -> None:
        self._is_full = False
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)
        if self._turn is None and self._waiting:
            self._go_on()

    def eof_received(self) -> bool:
        """The client sends no more, and may still read: what it asked for is answered."""
        self._is_broken = True
        if self._turn is None and not self._waiting:
            return False
        self._close_last()
        return True

    def connection_lost(self, _error: Exception | None) -> None:
        self.is_lost = self._is_broken = self._closing = True
        self._waiting.clear()
        self._house.forget(self)
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)
        if self._turn is not None:
            self._turn.wake()

    # The parser calls these.
    def on_message_begin(self) -> None:
        self._url, self._headers, self._size = b"", [], 0
        self._in_head, self.since = True, self._house.tick

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._size += len(name) + len(value)
        if self._size > HEAD_BYTES:
            raise _TooLarge
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        parser = self._parser
        version = parser.get_http_version()
        request = Request(parser.get_method().decode(), self._url, self._headers, version)
        request.close = version == "0.9" or not parser.should_keep_alive() or parser.should_upgrade()
        for name, value in self._headers:
            if name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0")):
                request.has_body = True
            elif name == b"expect" and value.lower() == b"100-continue":
                request.expects = True
        self._request = request
        if request.has_body:
            self._arrived(request)

    def on_body(self, piece: bytes) -> None:
        request, turn = self._request, self._turn
        if request is None:
            return
        self.since = self._house.tick
        if turn is None or self._waiting:
            request.pieces.append(piece)
            self._hold_reading()
        else:
            turn.take(piece)
            if turn.is_full:
                self._hold_reading()

    def on_message_complete(self) -> None:
        request, self._request = self._request, None
        if request is None:
            return
        request.has_all = True
        if not request.has_body:
            self._arrived(request)
        elif self._turn is not None and not self._waiting:
            self._turn.has_all = True
            self._turn.wake()

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

    def read_on(self) -> None:
        """Read on, where reading was held back and need not be any more."""
        if not self._reading and not self._waiting and not (self._turn is not None and self._turn.is_full):
            self._reading = True
            with contextlib.suppress(RuntimeError):
                self._transport.resume_reading()

    # The house calls these.

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self._turn is None and not self._waiting and not self._in_head and not self._is_full

    @property
    def is_reading_head(self) -> bool:
        """Whether a head is here in part."""
        return self._in_head

    @property
    def is_stuck(self) -> bool:
        """Whether the client has something to take, or to send, and does not."""
        return self._is_full or (self._turn is not None and self._request is not None)

    @property
    def is_over(self) -> bool:
        """Whether the bytes that are on their way belong to a session that was ended meanwhile."""
        session = self._exchange.session if self._exchange is not None else None
        return session is not None and (session.is_over or bool(session.gone))

    def close(self) -> None:
        """End it once what was written is out."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End it now; what was not taken is lost."""
        self._closing = True
        self._transport.abort()

    def close_soon(self) -> None:
        """End it after the answers that are under way."""
        if self.is_idle:
            self.close()
        else:
            self._is_broken = True
            self._close_last()

    def refuse(self, status: int, words: str) -> None:
        """Answer what is no request, and end the connection once the client had time to read that."""
        self.write(heads.refusal(status, words, dated=self._house.date))
        self._linger()

    def _arrived(self, request: Request) -> None:
        """The head of a request, and of one without a body all, is here."""
        if self._turn is None and not self._waiting and not self._is_full:
            self._begin(request)
            return
        self._waiting.append(request)
        self._hold_reading()

    def _begin(self, request: Request) -> None:
        if request.version == "0.9":
            self.refuse(505, "HTTP/1.1 is spoken here.")
            return
        house = self._house
        url = request.url
        if not url.startswith(b"/"):
            url = origin_form(url)
        path, _, query = url.partition(b"?")
        if path.startswith(_MEDIA):
            exchange = Exchange(
                method=request.method,
                raw_path=path,
                query=query,
                headers=request.headers,
                client=self._client,
                version=request.version,
                read=house.playback.read,
                out=self,
            )
            if request.has_body or request.close or house.is_stopping:
                work: Awaitable[None] | None = house.playback.answer(exchange)
            else:
                work = house.playback.at_once(exchange, self)
            if work is None:
                self.since = house.tick
                return
            turn, self._exchange = self._take_turn(request), exchange
            exchange.receive, exchange.send = turn.receive, turn.send
            self._run(turn, work)
        else:
            turn = self._take_turn(request)
            self._run(turn, house.rest(scope(request, path, query, client=self._client), turn.receive, turn.send))

    def _take_turn(self, request: Request) -> Turn:
        closes = request.close or self._house.is_stopping
        turn = self._turn = Turn(self, is_head=request.method == "HEAD", closes=closes, expects=request.expects)
        turn.has_all = request.has_all
        for piece in request.pieces:
            turn.take(piece)
        return turn

    def _run(self, turn: Turn, work: Awaitable[None]) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(turn, work))
        self._house.tasks.add(task)
        task.add_done_callback(self._house.tasks.discard)

    async def _answer(self, turn: Turn, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception:
            log.get("edge").exception("a request failed")
            if not turn.is_started:
                self._turn = self._exchange = None
                self.refuse(500, "Something went wrong.")
                return
        self._turn = self._exchange = None
        self.since = self._house.tick
        if self.is_lost:
            return
        if turn.is_short:
            self.abort()
        elif not turn.has_all:
            self._linger()
        elif turn.closes or self._house.is_stopping:
            self.close()
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Answer those that waited, as long as the client takes what it asked for."""
        while self._waiting and self._turn is None and not self._is_full and not self._closing:
            self._begin(self._waiting.popleft())
        if self._turn is None and not self._waiting and self._is_broken and not self._closing and not self._is_full:
            self.close()
        self.read_on()

    def _hold_reading(self) -> None:
        if self._reading and not self._is_broken:
            self._reading = False
            with contextlib.suppress(RuntimeError):
                self._transport.pause_reading()

    def _close_last(self) -> None:
        """The connection ends with the last answer that is under way."""
        if self._waiting:
            self._waiting[-1].close = True
        elif self._turn is not None:
            self._turn.closes = True
        elif not self._closing and not self._is_full:
            self.close()

    def _fail(self, error: httptools.HttpParserError) -> None:
        if isinstance(error.__context__, _TooLarge):
            self._broken(431, f"The head of a request may have {HEAD_BYTES} bytes.")
        elif "PRI/Upgrade" in str(error) or "HTTP version" in str(error):
            self._broken(505, "HTTP/1.1 is spoken here; HTTP/2 where the edge has a certificate.")
        else:
            self._broken(400, f"This is no request of HTTP/1.1: {error}.")

    def _broken(self, status: int, words: str) -> None:
        """Nothing more can be read. Those who asked before are answered first."""
        self._is_broken, self._in_head = True, False
        if self._turn is not None or self._waiting:
            self._close_last()
        else:
            self.refuse(status, words)

    def _linger(self) -> None:
        """Close, but read what still comes for a moment: closing on unread bytes would take the answer away."""
        self._is_broken = self._closing = True
        if self.is_lost or self._transport.is_closing():
            return
        with contextlib.suppress(OSError, RuntimeError):
            self._transport.write_eof()
            self._transport.resume_reading()
        asyncio.get_running_loop().call_later(LINGER_S, self._transport.close)
