"""One connection of HTTP/1.1: requests in their order, answered at once where all is at hand, else by a task.

httptools reads requests (llhttp, strict). What a client sends ahead of its answers waits as the bytes that came, of
which a slice at a time is read: requests cost many times their bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final, cast

import httptools

from gateway.edge import resolve
from gateway.edge.exchange import Exchange
from gateway.edge.http1 import heads
from gateway.edge.http1.outlet import Outlet
from gateway.edge.http1.requests import Request, origin_form, scope
from gateway.edge.http1.turn import Turn
from shared import log

if TYPE_CHECKING:
    from gateway.edge.http1.server import House

#: Bytes of a request's head, its address among them, and of what may stand between two pieces of a body.
HEAD_BYTES: Final = 32 * 1024
#: What is read at once of what came.
SLICE_BYTES: Final = 4 * 1024
#: What may wait unwritten before the next piece of a body must: nothing. So uvloop writes at once, and not when the
#: loop comes round, which a small answer pays for (decision 0013).
HIGH_BYTES: Final = 0
#: How long a client may go on sending what nobody reads after it was refused.
LINGER_S: Final = 2.0


class _OtherVersion(Exception):
    """Neither HTTP/1.0 nor HTTP/1.1 is spoken."""


class Connection(Outlet):
    """One client's."""

    __slots__ = (
        *("_client", "_closing", "_exchange", "_headers", "_in_head", "_is_broken", "_is_held"),
        *("_parser", "_request", "_size", "_turn", "_unread", "_url", "_waiting"),
    )

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self._parser = httptools.HttpRequestParser(self)
        self._client: tuple[str, int] = ("", 0)
        #: The head that is being read. `_size`: bytes since it began, or since the last piece of the body after it.
        self._url, self._size, self._in_head = b"", 0, False
        self._headers: list[tuple[bytes, bytes]] = []
        #: The request whose body is being read, those that wait, and the one that is being answered.
        self._request: Request | None = None
        self._waiting: deque[Request] = deque()
        self._turn: Turn | None = None
        #: Whose bytes are on their way, as far as they are playback's.
        self._exchange: Exchange | None = None
        #: Whether reading is held back, and what had come by then.
        self._is_held, self._unread = False, memoryview(b"")
        #: Whether what follows cannot be read, and whether nothing more is to be answered.
        self._is_broken = self._closing = False

    # The loop calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)
        transport.set_write_buffer_limits(high=HIGH_BYTES)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self._client = peer[:2]
        if not self._house.welcome(self):
            self.refuse(503, "This edge holds as many connections as it may; try again in a moment.")

    def data_received(self, data: bytes | memoryview) -> None:
        if self._is_broken or self._closing:
            return
        if len(data) > SLICE_BYTES:
            self._unread = memoryview(data)
            self._read_slices()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing else is spoken here: the request is answered, and what follows it is not read.
            self._is_broken = True
            self._close_last()
        except httptools.HttpParserError as error:
            self._fail(error)
        if self._in_head or self._request is not None:
            self._size += len(data)
            if self._size > HEAD_BYTES:
                self._broken(431, f"The head of a request may have {HEAD_BYTES} bytes.")

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._turn is None:
            self._exchange = None
            self._go_on()

    def eof_received(self) -> bool:
        """The client sends no more, and may still read: what it asked for is answered."""
        self._cut()
        if self._closing or (self._turn is None and not self._waiting):
            return False
        if self._turn is not None:
            # Most who send no more have left: nobody should wait long on their behalf.
            self._turn.cut()
        self._close_last()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._is_broken = self._closing = True
        self._waiting.clear()
        self._unread = memoryview(b"")
        # The parser holds this connection: nobody should have to look for such rings.
        self._parser = None  # type: ignore[assignment] # nothing is fed to it any more
        self._house.forget(self)
        if self._turn is not None:
            self._turn.wake()
        else:
            self._exchange = None

    # The parser calls these.

    def on_message_begin(self) -> None:
        self._url, self._headers, self._size = b"", [], 0
        self._in_head, self.since = True, self._house.tick

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # Fields may also follow a body: those are nobody's.
        if self._in_head:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        parser = self._parser
        version = parser.get_http_version()
        request = Request(parser.get_method().decode(), self._url, self._headers, version)
        if version != "1.1":
            if version != "1.0":
                raise _OtherVersion
            request.close = True
        elif not parser.should_keep_alive() or parser.should_upgrade():
            request.close = True
        for name, value in self._headers:
            if name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0")):
                request.has_body = True
            elif name == b"expect" and value.lower() == b"100-continue":
                request.expects = version == "1.1"
        self._request = request
        if request.has_body:
            self._arrived(request)

    def on_body(self, piece: bytes) -> None:
        request, turn = self._request, self._turn
        if request is None:
            return
        self._size = 0
        if turn is None or self._waiting:
            # Reading is held back: no more than a slice comes of it.
            request.early += piece
        else:
            turn.take(piece)
            if turn.is_full:
                self._hold()

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

    # Turns call this.

    def read_on(self) -> None:
        """Read on, where reading was held back and need not be any more."""
        if self._is_held and not self._waiting and not (self._turn is not None and self._turn.is_full):
            self._is_held = False
            self._read_slices()
            if not self._is_held:
                with contextlib.suppress(RuntimeError):
                    self._transport.resume_reading()

    # The house calls these.

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self._turn is None and not self._waiting and not self._in_head and not self._is_full

    @property
    def is_reading_head(self) -> bool:
        """Whether a head is here in part, and the client is to send the rest."""
        return self._in_head and self._turn is None and not self._waiting

    @property
    def is_stuck(self) -> bool:
        """Whether the client has something to take, or to send, and does not."""
        return self._has_unsent or (self._turn is not None and self._request is not None)

    @property
    def is_over(self) -> bool:
        """Whether the bytes that are on their way belong to a session that was ended meanwhile."""
        session = self._exchange.session if self._exchange is not None else None
        return session is not None and (session.is_over or bool(session.gone))

    def close(self) -> None:
        """End it once what was written is out."""
        self._closing = True
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
        self._hold()

    def _begin(self, request: Request) -> None:
        house = self._house
        self.since = house.tick
        url = request.url
        if not url.startswith(b"/"):
            url = origin_form(url)
        path, _, query = url.partition(b"?")
        if path.startswith(resolve.PREFIXES):
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
                if self._is_full:
                    self._exchange = exchange
                return
            turn, self._exchange = self._take_turn(request), exchange
            exchange.receive, exchange.send = turn.receive, turn.send
            self._run(turn, request, work)
        else:
            turn = self._take_turn(request)
            asked = scope(request, path, query, client=self._client)
            self._run(turn, request, house.rest(asked, turn.receive, turn.send))

    def _take_turn(self, request: Request) -> Turn:
        closes = request.close or (self._house.is_stopping and not self._waiting)
        turn = self._turn = Turn(self, is_head=request.method == "HEAD", closes=closes, expects=request.expects)
        turn.has_all = request.has_all
        if request.early:
            turn.take(request.early)
        return turn

    def _run(self, turn: Turn, request: Request, work: Awaitable[None]) -> None:
        turn.task = asyncio.get_running_loop().create_task(self._answer(turn, request, work))
        self._house.tasks.add(turn.task)

    async def _answer(self, turn: Turn, request: Request, work: Awaitable[None]) -> None:
        has_failed = False
        try:
            await work
        except Exception:
            log.get("edge").exception("a request failed")
            has_failed = True
        finally:
            self._house.tasks.discard(turn.task)
        self._turn = None
        if self.is_lost or not self._is_full:
            self._exchange = None
        self.since = self._house.tick
        if self.is_lost:
            return
        if has_failed and not turn.is_started:
            self.refuse(500, "Something went wrong.")
        elif turn.is_short:
            self.abort()
        elif request.close and turn.has_all and not self._is_broken:
            # The client said that nothing follows.
            self.close()
        elif turn.closes:
            self._linger()
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Answer those that waited, as long as the client takes what it asked for."""
        while self._waiting and self._turn is None and not self._is_full and not self._closing:
            self._begin(self._waiting.popleft())
        if not self._closing:
            self.read_on()

    def _hold(self) -> None:
        if not self._is_held:
            self._is_held = True
            with contextlib.suppress(RuntimeError):
                self._transport.pause_reading()

    def _read_slices(self) -> None:
        while self._unread and not self._is_held:
            piece, self._unread = self._unread[:SLICE_BYTES], self._unread[SLICE_BYTES:]
            self.data_received(piece)

    def _close_last(self) -> None:
        """The connection ends with the last answer that is under way."""
        if self._waiting:
            self._waiting[-1].close = True
        elif self._turn is not None:
            self._turn.closes = True
        elif not self._closing:
            self._linger()

    def _fail(self, error: httptools.HttpParserError) -> None:
        if isinstance(error.__context__, _OtherVersion) or any(it in str(error) for it in ("PRI/Upgrade", "version")):
            self._broken(505, "HTTP/1.1 is spoken here; HTTP/2 where the edge has a certificate.")
        elif isinstance(error, httptools.HttpParserCallbackError):
            # Ours, and nobody knows how much of an answer is out.
            log.get("edge").error("a request failed", exc_info=error.__context__)
            self.abort()
        else:
            self._broken(400, f"This is no request of HTTP/1.1: {error}.")

    def _broken(self, status: int, words: str) -> None:
        """Nothing more can be read. Those who asked before are answered first."""
        self._cut()
        if self._turn is not None or self._waiting:
            self._close_last()
        else:
            self.refuse(status, words)

    def _cut(self) -> None:
        """Nothing more is read, and what is here of a request in part is all of it that there will be."""
        request, self._request = self._request, None
        self._is_broken, self._in_head = True, False
        if request is None:
            return
        if self._waiting:
            self._waiting.pop()
        elif self._turn is not None:
            self._turn.cut()

    def _linger(self) -> None:
        """Close, but read what still comes for a moment: closing on unread bytes would take the answer away."""
        self._is_broken = self._closing = True
        self._in_head = False
        self._waiting.clear()
        if self.is_lost or self._transport.is_closing():
            return
        with contextlib.suppress(OSError, RuntimeError):
            self._transport.write_eof()
            self._transport.resume_reading()
        asyncio.get_running_loop().call_later(LINGER_S, self._transport.close)
