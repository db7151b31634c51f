"""The raw ASGI handler of playback: token, seat, bytes; nothing wraps it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Any, NamedTuple

from gateway.edge import bodies, gate, ranges, replies, resolve
from gateway.edge.asked import READ, Asked
from gateway.edge.bodies import Receive, Send
from gateway.edge.cache import Cache, Found, How
from gateway.edge.cmcd import Cmcd
from gateway.edge.counts import Counts, RefusedSessions
from gateway.edge.filling import Torn
from gateway.edge.objects import Filed, Object
from gateway.edge.places import Place, Places
from gateway.edge.refusals import Refusal
from gateway.edge.replies import Cors, Delivery, Header
from gateway.edge.resolve import Target, Targets
from gateway.edge.seats import LocalSeats
from gateway.edge.session import Session
from gateway.edge.speeds import Speeds
from gateway.edge.verified import Verified
from shared import log
from shared.errors import NotFound, StoreUnavailable
from shared.tokens import Claims

#: Where a beat says how far its player is, in seconds: `?t=61.5`.
_POSITION = re.compile(rb"(?:\A|&)t=(\d{1,7}(?:\.\d{1,6})?)(?:&|\Z)")
#: Refusals of an address, and not of whoever asks for it.
_NO_SESSION = frozenset((404, 405, 416, 500))


class Asking(NamedTuple):
    """What is asked for, with a token that opens it, and from where."""

    target: Target
    claims: Claims
    place: Place


#: What a request needs, where all of it is known.
AtHand = tuple[Object, Session, Target, Place]


class Exchange:
    """One request and the way back to its client."""

    __slots__ = (
        *("asked", "claims", "client", "is_started", "method", "peer", "query"),
        *("raw_path", "receive", "send", "session", "timing", "version"),
    )

    def __init__(self, scope: dict[str, Any], receive: Receive, send: Send, read: frozenset[bytes] = READ) -> None:
        self.receive, self.send = receive, send
        self.method: str = scope["method"]
        self.raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        self.client: tuple[str, int] | None = scope["client"]
        self.peer = self.client[0] if self.client else ""
        self.version: str = scope["http_version"]
        self.query: bytes = scope["query_string"]
        self.asked = Asked(scope["headers"], read)
        self.is_started, self.timing = False, ""
        #: What a genuine token said, and whose bytes these are, once that is known.
        self.claims: Claims | None = None
        self.session: Session | None = None


class Playback:
    """Answers everything under `/t/` and `/v/`."""

    def __init__(
        self,
        verified: Verified,
        seats: LocalSeats,
        cache: Cache,
        *,
        places: Places,
        cmcd: Cmcd,
        cors: Cors,
        delivery: Delivery,
        counts: Counts,
        country_header: str,
        now: Callable[[], float],
        tick: Callable[[], float],
        is_draining: Callable[[], bool],
    ) -> None:
        self._verified, self._seats, self._cache = verified, seats, cache
        self._places, self._cmcd = places, cmcd
        self._read = READ | {country_header.lower().encode()} if country_header else READ
        self._cors, self._delivery, self._counts = cors, delivery, counts
        #: Whether headers are the same whoever asks.
        self._is_plain = bool(cors.fixed) and not delivery.is_used
        self._now, self._tick, self._is_draining = now, tick, is_draining
        self._targets, self._speeds = Targets(), Speeds(tick)
        self._refused, self._log = RefusedSessions(), log.get("edge")

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request. Whatever goes wrong is answered by the table of refusals."""
        exchange = Exchange(scope, receive, send, self._read)
        self._counts.in_flight += 1
        try:
            at_hand = self._at_hand(exchange)
            if at_hand is None:
                await self._answer(exchange)
            else:
                await self._hand_over(exchange, at_hand)
        except Refusal as refused:
            await self._refuse(exchange, refused)
        except Exception:
            self._log.exception("a request failed")
            await self._refuse(exchange, Refusal("unexpected"))
        finally:
            self._counts.in_flight -= 1

    def _at_hand(self, exchange: Exchange) -> AtHand | None:
        """The short way, which nearly all requests go: all of it is known, nothing is waited for, nothing special was
        asked. None: the long way. Raises Refusal."""
        asked, raw = exchange.asked, exchange.raw_path
        if asked.is_special or exchange.method != "GET" or exchange.query or not self._is_plain or self._is_draining():
            return None
        end = raw.find(b"/", 3)
        target, claims = self._targets.known(raw[end + 1 :]), self._verified.known(raw[3:end])
        if target is None or claims is None or claims.b == "hard":
            return None
        found = self._cache.held(target.key)
        if found is None:
            return None
        exchange.claims = claims
        place = self._places.of(exchange.peer, asked.forwarded, asked.country)
        gate.permit(claims, target, now=self._now())
        session = self._seats.touch(claims, "playlist" if target.kind == "playlist" else "segment", place)
        if session is None:
            return None
        exchange.session = session
        return found, session, target, place

    async def _hand_over(self, exchange: Exchange, at_hand: AtHand) -> None:
        found, session, target, place = at_hand
        is_media = target.index >= 0
        if is_media and (wait_s := self._seats.fetch(session, target, place)):
            await self._hold(session, wait_s)
        counts = self._counts
        counts.cache["hit"] += 1
        counts.requests[target.extension, 200] += 1
        exchange.is_started = True
        headers = replies.whole(found, target, self._cors, for_page=bool(exchange.asked.origin))
        await exchange.send({"type": "http.response.start", "status": 200, "headers": headers})
        chunks = found.chunks
        if len(chunks) == 1:
            await exchange.send({"type": "http.response.body", "body": chunks[0]})
            counts.bytes_sent += found.size
            is_whole = True
        else:
            is_whole = await self._body(exchange, chunks)
        if is_media:
            self._seats.delivered(session, target, place, whole=is_whole)

    async def _hold(self, session: Session, wait_s: float) -> None:
        """Hold a request back that came too fast. Raises Refusal where its session was ended meanwhile."""
        await asyncio.sleep(wait_s)
        if not self._seats.keep(session):
            raise Refusal(session.gone or "revoked")

    async def _answer(self, exchange: Exchange) -> None:
        method = exchange.method
        if method == "OPTIONS":
            await self._finish(exchange, 204, replies.PREFLIGHT, kind="preflight")
            return
        in_path, path = resolve.split(exchange.raw_path)
        target = self._targets.of(path)
        asked = exchange.asked
        token = asked.token(in_path)
        place = self._places.of(exchange.peer, asked.forwarded, asked.country)
        claims = self._verified.known(token)
        if claims is None:
            claims = await self._verified.claims(token, self._places.address(exchange.peer, asked.forwarded))
        exchange.claims = claims
        gate.permit(claims, target, now=self._now(), device=asked.device() if claims.b == "hard" else "")
        if asked.cmcd or b"CMCD" in exchange.query:
            self._cmcd.note(exchange.query.decode("latin-1"), ",".join(asked.cmcd))
        if target.kind == "act":
            await self._act(exchange, Asking(target, claims, place))
        elif not target.key:
            raise Refusal("not-found")
        elif method == "GET" or method == "HEAD":
            await self._serve(exchange, Asking(target, claims, place))
        else:
            raise Refusal("method", allow="GET, HEAD, OPTIONS")

    async def _act(self, exchange: Exchange, asking: Asking) -> None:
        """`end` frees the seat, `beat` keeps it; both are POSTs without a body that matters."""
        if exchange.method != "POST":
            raise Refusal("method", allow="POST, OPTIONS")
        await bodies.drop(exchange.receive)
        target, claims, place = asking
        session = self._seats.touch(claims, "beat", place)
        if session is None and target.path == "beat":
            session = await self._seats.admit(claims, place)
        if session is not None and (position := _POSITION.search(exchange.query)) is not None:
            self._seats.at(session, float(position[1]))
        if target.path == "end":
            await self._seats.end(claims)
        await self._finish(exchange, 204, replies.NO_STORE, kind=target.path)

    async def _serve(self, exchange: Exchange, asking: Asking) -> None:
        target, _, place = asking
        session = exchange.session = await self._seat(exchange, asking)
        is_media = target.index >= 0 and exchange.method == "GET"
        if is_media and (wait_s := self._seats.fetch(session, target, place)):
            await self._hold(session, wait_s)
        found, how = await self._find(exchange, target)
        if how != "hit":
            # It took a while: the session may have been ended meanwhile.
            await self._seat(exchange, asking)
        is_whole = await self._send(exchange, asking, found, how=how)
        if is_media:
            self._seats.delivered(session, target, place, whole=is_whole)

    async def _seat(self, exchange: Exchange, asking: Asking) -> Session:
        target, claims, place = asking
        session = self._seats.touch(claims, "playlist" if target.kind == "playlist" else "segment", place)
        if session is None:
            since = self._tick()
            session = await self._seats.admit(claims, place)
            self._note_wait(exchange, "seat", since)
        return session

    def _note_wait(self, exchange: Exchange, name: str, since: float) -> None:
        """What a request waited for, as an entry of Server-Timing."""
        exchange.timing += f", {name};dur={(self._tick() - since) * 1000:.1f}"

    async def _find(self, exchange: Exchange, target: Target) -> tuple[Found, How]:
        """The object from RAM, disk or bucket, with the bucket's failures as refusals."""
        held = self._cache.held(target.key)
        if held is not None:
            self._counts.cache["hit"] += 1
            return held, "hit"
        since = self._tick()
        try:
            found, how = await self._cache.get(target.key)
        except NotFound:
            self._counts.cache["absent"] += 1
            raise Refusal("not-found") from None
        except StoreUnavailable:
            self._counts.cache["failed"] += 1
            raise Refusal("store-unavailable", retry_after_s=2) from None
        self._note_wait(exchange, "origin", since)
        self._counts.cache[how] += 1
        return found, how

    async def _send(self, exchange: Exchange, asking: Asking, found: Found, *, how: How) -> bool:
        """Conditions first, then the range, then the whole (RFC 9110, 13.2.2). Whether the last byte went out."""
        asked, (target, claims, _) = exchange.asked, asking
        headers = replies.media(target, found.etag, how, timing=exchange.timing)
        headers.extend(self._delivery.headers(exchange.peer, target, is_marked=bool(claims.w)))
        if asked.if_none_match and ranges.matches(asked.if_none_match, found.etag.encode()):
            await self._start(exchange, 304, headers, kind=target.extension, length=None)
            await self._body(exchange, ())
            return False
        status, start, end = 200, 0, found.size
        if asked.range and exchange.method == "GET":
            wanted = self._range(asked, found)
            if wanted is not None:
                status, (start, end) = 206, wanted
                headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, found.size)))
        await self._start(exchange, status, headers, kind=target.extension, length=end - start)
        if exchange.method == "HEAD":
            await self._body(exchange, ())
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
            return await self._body(exchange, found.chunks if whole else bodies.cut(found.chunks, start, end))
        if isinstance(found, Filed):
            # The server sends a file to its end: only who is quick gets it so, since nothing can stop it half way.
            if whole and self._speeds.of(exchange.client, exchange.version).is_quick:
                await exchange.send({"type": "http.response.pathsend", "path": found.path})
                self._counts.bytes_sent += found.size
                return True
            return await self._follow(exchange, bodies.read(found.path, start, end), end - start)
        return await self._follow(exchange, found.pieces(start, end), end - start)

    async def _body(self, exchange: Exchange, chunks: Sequence[bytes]) -> bool:
        """Send pieces one after the other, and stop when the client is gone; whether all went out."""
        if len(chunks) < 2:
            body = chunks[0] if chunks else b""
            await exchange.send({"type": "http.response.body", "body": body})
            self._counts.bytes_sent += len(body)
            return True
        client = self._client(exchange)
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

    def _client(self, exchange: Exchange) -> bodies.Client:
        return bodies.Client(
            exchange.receive,
            exchange.send,
            speed=self._speeds.of(exchange.client, exchange.version),
            may_go_on=lambda: self._may_go_on(exchange),
            tick=self._tick,
        )

    async def _close(self, client: bodies.Client) -> None:
        self._counts.bytes_sent += client.sent
        await client.close()

    def _may_go_on(self, exchange: Exchange) -> bool:
        """Whether the rest of a long body may follow: a session that was ended meanwhile gets no more of it."""
        return exchange.session is None or self._seats.keep(exchange.session)

    async def _refuse(self, exchange: Exchange, refused: Refusal) -> None:
        self._counts.refused[refused.code] += 1
        if exchange.claims is not None and refused.status not in _NO_SESSION:
            self._refused.tell(exchange.claims, refused.code)
        if exchange.is_started:
            return
        headers, body = replies.refusal(refused, raw_path=exchange.raw_path)
        await self._start(exchange, refused.status, headers, kind="refused", length=len(body))
        await self._body(exchange, (body,) if exchange.method != "HEAD" else ())

    async def _finish(self, exchange: Exchange, status: int, headers: Iterable[Header], *, kind: str) -> None:
        """An answer without a body."""
        await self._start(exchange, status, headers, kind=kind, length=None)
        await self._body(exchange, ())

    async def _start(
        self, exchange: Exchange, status: int, headers: Iterable[Header], *, kind: str, length: int | None
    ) -> None:
        """Send status and headers; no Content-Length where `length` is None."""
        sent = [*headers, *self._cors.headers(exchange.asked.origin)]
        if length is not None:
            sent.append((b"content-length", b"%d" % length))
        if self._is_draining():
            sent.append(replies.CLOSE)
        self._counts.requests[kind, status] += 1
        exchange.is_started = True
        await exchange.send({"type": "http.response.start", "status": status, "headers": sent})
