"""Answers on their way to the client: status and headers, parts and whole bodies, refusals."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Final

from gateway.edge import bodies, ranges, replies
from gateway.edge.asked import Asked
from gateway.edge.cache import Found, How
from gateway.edge.counts import Counts, RefusedSessions
from gateway.edge.exchange import Exchange
from gateway.edge.filling import Torn
from gateway.edge.http1 import heads
from gateway.edge.http1.heads import Header
from gateway.edge.objects import Filed, Object
from gateway.edge.refusals import Refusal
from gateway.edge.replies import Cors, Delivery
from gateway.edge.resolve import Target
from gateway.edge.session import Session
from gateway.edge.speeds import Speed, Speeds

#: Refusals of an address, and not of whoever asks for it.
_NO_SESSION = frozenset((404, 405, 416, 500))
#: Pieces of a body that are sent without looking whether the client is still there.
SHORT: Final = 2


class Answers:
    """How answers are sent. `keep` says whether the bytes of a session may go on."""

    def __init__(
        self,
        counts: Counts,
        *,
        cors: Cors,
        delivery: Delivery,
        keep: Callable[[Session], bool],
        tick: Callable[[], float],
        is_draining: Callable[[], bool],
    ) -> None:
        self._counts, self._cors, self._delivery, self._keep = counts, cors, delivery, keep
        self._tick, self._is_draining = tick, is_draining
        self._speeds, self._refused = Speeds(tick), RefusedSessions()

    async def refuse(self, exchange: Exchange, refused: Refusal) -> None:
        """Say why not, where nothing was said yet; counted and, once a session, logged."""
        self._counts.refused[refused.code] += 1
        if exchange.claims is not None and refused.status not in _NO_SESSION:
            self._refused.tell(exchange.claims, refused.code)
        if exchange.is_started:
            return
        headers, body = replies.refusal(refused, raw_path=exchange.raw_path)
        await self.start(exchange, refused.status, headers, kind="refused", length=len(body))
        await self.body(exchange, (body,) if exchange.method != "HEAD" else ())

    async def send(self, exchange: Exchange, target: Target, found: Found, *, how: How) -> bool:
        """What was asked for: conditions first, then the range, then the whole (RFC 9110, 13.2.2). Whether all of it
        and its last byte went out. Raises Refusal."""
        asked, claims = exchange.asked, exchange.claims
        headers = replies.media(target, found.etag, how, timing=exchange.timing)
        is_marked = claims is None or bool(claims.w)
        headers.extend(self._delivery.headers(exchange.peer, target, is_marked=is_marked))
        if asked.if_none_match and ranges.matches(asked.if_none_match, found.etag.encode()):
            await self.start(exchange, 304, headers, kind=target.extension, length=None)
            await self.body(exchange, ())
            return False
        status, start, end = 200, 0, found.size
        if asked.range and exchange.method == "GET":
            wanted = self._range(asked, found)
            if wanted is not None:
                status, (start, end) = 206, wanted
                headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, found.size)))
        await self.start(exchange, status, headers, kind=target.extension, length=end - start)
        if exchange.method == "HEAD":
            await self.body(exchange, ())
            return False
        return await self._bytes(exchange, found, (start, end)) and (start, end) == (0, found.size)

    def _range(self, asked: Asked, found: Found) -> tuple[int, int] | None:
        if asked.if_range and not ranges.same(asked.if_range, found.etag.encode()):
            return None
        try:
            return ranges.parse(asked.range, found.size)
        except ranges.Unsatisfiable:
            raise Refusal("range", size=found.size) from None

    async def _bytes(self, exchange: Exchange, found: Found, span: tuple[int, int]) -> bool:
        start, end = span
        whole = end - start == found.size
        if isinstance(found, Object):
            return await self.body(exchange, found.chunks if whole else bodies.cut(found.chunks, start, end))
        if isinstance(found, Filed):
            # The server sends a file to its end: only who is quick gets it so, since nothing can stop it half way.
            if whole and exchange.out is None and self._speeds.of(exchange.client, exchange.version).is_quick:
                await exchange.send({"type": "http.response.pathsend", "path": found.path})
                self._counts.bytes_sent += found.size
                return True
            return await self._follow(exchange, bodies.read(found.path, start, end), end - start)
        return await self._follow(exchange, found.pieces(start, end), end - start)

    async def body(self, exchange: Exchange, chunks: Sequence[bytes]) -> bool:
        """Send pieces one after the other, and stop when the client is gone; whether all went out."""
        if len(chunks) < 2:
            body = chunks[0] if chunks else b""
            await exchange.send({"type": "http.response.body", "body": body})
            self._counts.bytes_sent += len(body)
            return True
        client = self._client(exchange, is_short=len(chunks) <= SHORT)
        last = len(chunks) - 1
        try:
            for number, chunk in enumerate(chunks):
                if not await client.take(chunk, more=number < last):
                    return False
        finally:
            await self._close(client)
        return True

    async def _follow(self, exchange: Exchange, pieces: AsyncGenerator[bytes], length: int) -> bool:
        """Send pieces as they arrive. Where they stop short the connection is cut: nobody takes them for all."""
        client = self._client(exchange)
        try:
            async with contextlib.aclosing(pieces):
                async for piece in pieces:
                    length -= len(piece)
                    if not await client.take(piece, more=length > 0):
                        return False
        except (Torn, OSError):
            self._counts.cache["torn"] += 1
            return False
        finally:
            await self._close(client)
        return length == 0

    def _client(self, exchange: Exchange, *, is_short: bool = False) -> bodies.Client:
        out = exchange.out
        return bodies.Client(
            exchange.receive,
            exchange.send,
            is_lost=None if out is None else lambda: out.is_lost,
            is_short=is_short,
            # A connection of our own holds the pieces it is given, whatever their size: they need not be small.
            speed=self._speed(exchange),
            may_go_on=lambda: self._may_go_on(exchange),
            tick=self._tick,
        )

    def _speed(self, exchange: Exchange) -> Speed:
        """How quick its connection is; one of our own holds the pieces it is given: they need not be small."""
        if exchange.out is not None:
            return Speed(self._tick, is_quick=True)
        return self._speeds.of(exchange.client, exchange.version)

    async def _close(self, client: bodies.Client) -> None:
        self._counts.bytes_sent += client.sent
        await client.close()

    def _may_go_on(self, exchange: Exchange) -> bool:
        """Whether the rest of a long body may follow: a session that was ended meanwhile gets no more of it."""
        return exchange.session is None or self._keep(exchange.session)

    async def finish(self, exchange: Exchange, status: int, headers: Iterable[Header], *, kind: str) -> None:
        """An answer without a body."""
        await self.start(exchange, status, headers, kind=kind, length=None)
        await self.body(exchange, ())

    async def start(
        self, exchange: Exchange, status: int, headers: Iterable[Header], *, kind: str, length: int | None
    ) -> None:
        """Send status and headers; no Content-Length where `length` is None."""
        sent = [*headers, *self._cors.headers(exchange.asked.origin)]
        if length is not None:
            sent.append((b"content-length", b"%d" % length))
        if self._is_draining():
            sent.append(heads.CLOSE)
        self._counts.requests[kind, status] += 1
        exchange.is_started = True
        await exchange.send({"type": "http.response.start", "status": status, "headers": sent})
