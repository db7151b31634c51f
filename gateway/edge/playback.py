"""Playback: token, seat, bytes. At once where all is at hand, and as a raw ASGI handler; nothing wraps it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple

from gateway.edge import bodies, gate, replies, resolve
from gateway.edge.answers import Answers
from gateway.edge.asked import READ
from gateway.edge.bodies import Receive, Send
from gateway.edge.cache import Cache, Found, How
from gateway.edge.cmcd import Cmcd
from gateway.edge.counts import Counts
from gateway.edge.exchange import Exchange, Out
from gateway.edge.making import Making
from gateway.edge.objects import Object
from gateway.edge.places import Place, Places
from gateway.edge.refusals import Refusal
from gateway.edge.replies import Cors, Delivery
from gateway.edge.resolve import Target, Targets
from gateway.edge.seats import LocalSeats
from gateway.edge.session import Session
from gateway.edge.verified import Verified
from shared import log
from shared.errors import NotFound, StoreUnavailable
from shared.tokens import Claims

#: Where a beat says how far its player is, in seconds: `?t=61.5`.
_POSITION = re.compile(rb"(?:\A|&)t=(\d{1,7}(?:\.\d{1,6})?)(?:&|\Z)")


class Asking(NamedTuple):
    """What is asked for, with a token that opens it, and from where."""

    target: Target
    claims: Claims
    place: Place


#: What a request needs, where all of it is known.
AtHand = tuple[Object, Session, Target, Place]
Work = Coroutine[Any, Any, None]


class Playback:
    """Answers everything under `/t/` and `/v/`."""

    def __init__(
        self,
        verified: Verified,
        seats: LocalSeats,
        cache: Cache,
        *,
        making: Making,
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
        self._making, self._places, self._cmcd = making, places, cmcd
        self.read: Final = READ | {country_header.lower().encode()} if country_header else READ
        self._cors, self._counts = cors, counts
        self._answers = Answers(
            counts, cors=cors, delivery=delivery, keep=seats.keep, tick=tick, is_draining=is_draining
        )
        #: Whether headers are the same whoever asks.
        self._is_plain = bool(cors.fixed) and not delivery.is_used
        self._now, self._tick, self._is_draining = now, tick, is_draining
        self._targets, self._log = Targets(), log.get("edge")

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request as ASGI tells it. Whatever goes wrong is answered by the table of refusals."""
        exchange = Exchange.of(scope, receive, send, read=self.read)
        await self._guard(exchange, self._go(exchange))

    def at_once(self, exchange: Exchange, out: Out) -> Work | None:
        """Answer a request on `out` without waiting for anything, as nearly all can be; None: that is done. Else
        the work that answers it, to be awaited once the exchange can `receive` and `send`."""
        try:
            at_hand = self._at_hand(exchange)
            if at_hand is None:
                return self.answer(exchange)
            found, session, target, place = at_hand
            is_media = target.index >= 0
            if is_media and (wait_s := self._seats.fetch(session, target, place)):
                return self._guard(exchange, self._hand_over(exchange, at_hand, wait_s))
        except Refusal as refused:
            return self._answers.refuse(exchange, refused)
        except Exception:
            self._log.exception("a request failed")
            return self._answers.refuse(exchange, Refusal("unexpected"))
        self._note_hit(exchange, target)
        fields = replies.fields(found, target, self._cors, for_page=bool(exchange.asked.origin))
        put = out.put(fields, found.chunks, found.size)
        if put < len(found.chunks):
            return self._guard(exchange, self._hand_on(exchange, at_hand, put))
        self._counts.bytes_sent += found.size
        if is_media:
            self._seats.delivered(session, target, place, whole=True)
        return None

    def answer(self, exchange: Exchange) -> Work:
        """The work that answers a request the long way."""
        return self._guard(exchange, self._answer(exchange))

    async def _guard(self, exchange: Exchange, work: Work) -> None:
        self._counts.in_flight += 1
        try:
            await work
        except Refusal as refused:
            await self._answers.refuse(exchange, refused)
        except Exception:
            self._log.exception("a request failed")
            await self._answers.refuse(exchange, Refusal("unexpected"))
        finally:
            self._counts.in_flight -= 1

    async def _go(self, exchange: Exchange) -> None:
        at_hand = self._at_hand(exchange)
        if at_hand is None:
            await self._answer(exchange)
            return
        _, session, target, place = at_hand
        wait_s = self._seats.fetch(session, target, place) if target.index >= 0 else 0.0
        await self._hand_over(exchange, at_hand, wait_s)

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

    async def _hand_over(self, exchange: Exchange, at_hand: AtHand, wait_s: float) -> None:
        found, session, target, place = at_hand
        if wait_s:
            await self._hold(session, wait_s)
        self._note_hit(exchange, target)
        headers = replies.whole(found, target, self._cors, for_page=bool(exchange.asked.origin))
        await exchange.send({"type": "http.response.start", "status": 200, "headers": headers})
        is_whole = await self._answers.body(exchange, found.chunks)
        if target.index >= 0:
            self._seats.delivered(session, target, place, whole=is_whole)

    async def _hand_on(self, exchange: Exchange, at_hand: AtHand, put: int) -> None:
        """Send what is left of a body of which `put` pieces are on their way."""
        found, session, target, place = at_hand
        self._counts.bytes_sent += sum(len(chunk) for chunk in found.chunks[:put])
        is_whole = await self._answers.body(exchange, found.chunks[put:])
        if target.index >= 0:
            self._seats.delivered(session, target, place, whole=is_whole)

    def _note_hit(self, exchange: Exchange, target: Target) -> None:
        self._counts.cache["hit"] += 1
        self._counts.requests[target.extension, 200] += 1
        exchange.is_started = True

    async def _hold(self, session: Session, wait_s: float) -> None:
        """Hold a request back that came too fast. Raises Refusal where its session was ended meanwhile."""
        await asyncio.sleep(wait_s)
        self._seats.insist(session)

    async def _answer(self, exchange: Exchange) -> None:
        method = exchange.method
        if method == "OPTIONS":
            await self._answers.finish(exchange, 204, replies.PREFLIGHT, kind="preflight")
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
        device = asked.device() if asked.cookies and claims.b != "off" else ""
        gate.permit(claims, target, now=self._now(), device=device)
        if claims.b == "soft" and gate.is_other_device(claims, device):
            place = self._places.on_other_device(place)
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
        await self._answers.finish(exchange, 204, replies.NO_STORE, kind=target.path)

    async def _serve(self, exchange: Exchange, asking: Asking) -> None:
        target, _, place = asking
        session = exchange.session = await self._seat(exchange, asking)
        is_media = target.index >= 0 and exchange.method == "GET"
        if is_media:
            wait_s, trace = self._seats.fetch(session, target, place), self._seats.trace(session)
            if wait_s:
                await self._hold(session, wait_s)
        try:
            found, how = await self._find(exchange, target)
        except Refusal:
            if is_media:
                self._seats.unserved(session, target, trace)
            raise
        if how != "hit":
            # It took a while: the session may have been ended meanwhile.
            await self._seat(exchange, asking)
        is_whole = await self._answers.send(exchange, target, found, how=how)
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
        """The object from RAM, disk or bucket, once it is made, with the bucket's failures as refusals."""
        held = self._cache.held(target.key)
        if held is not None:
            self._counts.cache["hit"] += 1
            return held, "hit"
        since = self._tick()
        try:
            found, how = await self._making.find(exchange, target)
        except NotFound:
            self._counts.cache["absent"] += 1
            raise Refusal("not-found") from None
        except StoreUnavailable:
            self._counts.cache["failed"] += 1
            raise Refusal("store-unavailable", retry_after_s=2) from None
        self._note_wait(exchange, "origin", since)
        self._counts.cache[how] += 1
        return found, how
