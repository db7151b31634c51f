"""The raw ASGI handler of playback: token, seat, bytes; nothing wraps it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from gateway.edge import gate, ranges, replies, resolve
from gateway.edge.asked import Asked
from gateway.edge.cache import Cache, How
from gateway.edge.counts import Counts
from gateway.edge.objects import Object
from gateway.edge.refusals import Refusal
from gateway.edge.replies import Cors, Header, Receive, Send
from gateway.edge.seats import Activity, LocalSeats
from gateway.edge.verified import Verified
from shared import log
from shared.errors import NotFound, StoreUnavailable
from shared.network import Networks, address_of
from shared.tokens import Claims

_CLOSE: Final[Header] = (b"connection", b"close")
_DONE: Final[tuple[Header, ...]] = ((b"cache-control", b"no-store"),)


class Exchange:
    """One request and the way back to its client."""

    __slots__ = ("address", "asked", "is_started", "method", "raw_path", "receive", "send")

    def __init__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        self.asked = Asked(scope["headers"])
        self.receive, self.send = receive, send
        self.address, self.is_started = "", False


class Playback:
    """Answers everything under `/t/` and `/v/`."""

    def __init__(
        self,
        verified: Verified,
        seats: LocalSeats,
        cache: Cache,
        *,
        cors: Cors,
        trusted: Networks,
        counts: Counts,
        now: Callable[[], float],
        is_draining: Callable[[], bool],
    ) -> None:
        self._verified, self._seats, self._cache = verified, seats, cache
        self._cors, self._trusted, self._counts = cors, trusted, counts
        self._now, self._is_draining = now, is_draining
        self._log = log.get("edge")

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request. Whatever goes wrong is answered by the table of refusals."""
        exchange = Exchange(scope, receive, send)
        try:
            await self._answer(exchange, scope)
        except Refusal as refused:
            await self._refuse(exchange, refused)
        except Exception:
            self._log.exception("a request failed")
            await self._refuse(exchange, Refusal("unexpected"))

    async def _answer(self, exchange: Exchange, scope: dict[str, Any]) -> None:
        asked, method = exchange.asked, exchange.method
        if method == "OPTIONS":
            await self._finish(exchange, 204, replies.PREFLIGHT, kind="preflight")
            return
        peer = scope["client"][0] if scope.get("client") else ""
        exchange.address = address_of(peer, asked.forwarded, self._trusted)
        in_path, path = resolve.take_apart(exchange.raw_path)
        token = asked.token(in_path)
        claims = self._verified.known(token) or await self._verified.claims(token, exchange.address)
        gate.permit(claims, path, now=self._now(), device=asked.device())
        if path in gate.RESERVED:
            await self._act(exchange, path, claims)
        else:
            await self._serve(exchange, path, claims)

    async def _act(self, exchange: Exchange, name: str, claims: Claims) -> None:
        """`end` frees the seat, `beat` keeps it; both are POSTs without a body that matters."""
        if exchange.method != "POST":
            raise Refusal("method", allow="POST, OPTIONS")
        if name == "end":
            await self._seats.end(claims)
        elif self._seats.touch(claims, "beat", exchange.address) is None:
            await self._seats.admit(claims, exchange.address)
        await self._finish(exchange, 204, _DONE, kind=name)

    async def _serve(self, exchange: Exchange, path: str, claims: Claims) -> None:
        if exchange.method not in ("GET", "HEAD"):
            raise Refusal("method", allow="GET, HEAD, OPTIONS")
        key = resolve.key(path)
        extension = resolve.extension(path)
        activity: Activity = "playlist" if extension == ".m3u8" else "segment"
        session = self._seats.touch(claims, activity, exchange.address)
        if session is None:
            session = await self._seats.admit(claims, exchange.address)
        found, how = await self._find(key)
        await self._send(exchange, extension, found, how=how)
        if extension == ".m4s" and exchange.method == "GET":
            self._seats.first_media(session, claims)

    async def _find(self, key: str) -> tuple[Object, How]:
        """The object from RAM or bucket, with the bucket's failures as refusals."""
        found = self._cache.held(key)
        if found is not None:
            self._counts.cache["hit"] += 1
            return found, "hit"
        try:
            found, how = await self._cache.get(key)
        except NotFound:
            self._counts.cache["absent"] += 1
            raise Refusal("not-found") from None
        except StoreUnavailable:
            self._counts.cache["failed"] += 1
            raise Refusal("store-unavailable", retry_after_s=2) from None
        self._counts.cache[how] += 1
        return found, how

    async def _send(self, exchange: Exchange, extension: str, found: Object, *, how: How) -> None:
        """Conditions first, then the range, then the whole (RFC 9110, 13.2.2)."""
        asked = exchange.asked
        etag = found.etag.encode()
        headers = replies.media(extension, etag, how)
        if asked.if_none_match and ranges.matches(asked.if_none_match, etag):
            await self._finish(exchange, 304, headers, kind=extension, length=None)
            return
        status, start, end = 200, 0, found.size
        if asked.range and exchange.method == "GET":
            wanted = self._range(asked, found)
            if wanted is not None:
                status, (start, end) = 206, wanted
                headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, found.size)))
        whole = end - start == found.size
        chunks = found.chunks if whole else replies.cut(found.chunks, start, end)
        await self._finish(exchange, status, headers, kind=extension, length=end - start, chunks=chunks)

    def _range(self, asked: Asked, found: Object) -> tuple[int, int] | None:
        if asked.if_range and not ranges.same(asked.if_range, found.etag.encode()):
            return None
        try:
            return ranges.parse(asked.range, found.size)
        except ranges.Unsatisfiable:
            raise Refusal("range", size=found.size) from None

    async def _refuse(self, exchange: Exchange, refused: Refusal) -> None:
        self._counts.refused[refused.code] += 1
        if exchange.is_started:
            return
        headers, body = replies.refusal(refused, raw_path=exchange.raw_path)
        await self._finish(exchange, refused.status, headers, kind="refused", length=len(body), chunks=(body,))

    async def _finish(
        self,
        exchange: Exchange,
        status: int,
        headers: Iterable[Header],
        *,
        kind: str,
        length: int | None = 0,
        chunks: Iterable[bytes] = (),
    ) -> None:
        """Send status, headers and body; no body for HEAD, no Content-Length where `length` is None."""
        sent: list[Header] = [*headers, *self._cors.headers(exchange.asked.origin)]
        if length is not None and status != 204:
            sent.append((b"content-length", b"%d" % length))
        if self._is_draining():
            sent.append(_CLOSE)
        self._counts.requests[kind, status] += 1
        exchange.is_started = True
        await exchange.send({"type": "http.response.start", "status": status, "headers": sent})
        body = () if exchange.method == "HEAD" else tuple(chunks)
        self._counts.bytes_sent += await replies.send_body(body, exchange.receive, exchange.send)
