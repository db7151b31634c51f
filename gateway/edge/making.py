"""What is asked for before it is there: requests for a version that is played while it is made.

A segment, or an init, that the outline of an unfinished version promises is waited for, and its chunk made the most
wanted one. One look at the bucket each quarter of a second serves all who wait for the same name.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Final, Literal

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.edge import bodies
from gateway.edge.cache import Cache, Found, How
from gateway.edge.counts import Counts
from gateway.edge.exchange import Exchange
from gateway.edge.outlines import Outlines
from gateway.edge.refusals import Refusal
from gateway.edge.resolve import Target
from gateway.edge.session import Session
from gateway.edge.versions import Version
from shared.errors import NotFound, StoreUnavailable
from shared.need import raise_need
from shared.settings import EdgeSettings
from shared.storage import names
from shared.tasks import end

#: Seconds between two looks at the bucket for one name, and between two words that a chunk is wanted.
LOOK_S: Final = 0.25
RAISE_S: Final = 1.0
#: How a name comes to its end: it is there; it will not be made; its version is whole without it.
End = Literal["served", "over", "lost"]
#: How a wait for it ends; `refused`: there was no place to wait, or the session was ended.
Outcome = Literal["served", "over", "lost", "late", "left", "refused"]


class Wait:
    """A name that requests wait for."""

    def __init__(self) -> None:
        self.requests = 0
        self.ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self.work: list[asyncio.Task[None]] = []

    def end(self, how: End) -> None:
        """Tell all who wait."""
        if not self.ended.done():
            self.ended.set_result(how)


class Making:
    """Finds objects of versions, also of those that are not finished.

    `insist` raises Refusal for a session that was ended. Redis fails="open": requests wait without raising the need.
    """

    def __init__(
        self,
        cache: Cache,
        outlines: Outlines,
        settings: EdgeSettings,
        *,
        redis: Redis,
        insist: Callable[[Session], None],
        counts: Counts,
        now: Callable[[], float],
        tick: Callable[[], float],
    ) -> None:
        self._cache, self._outlines, self._settings, self._redis = cache, outlines, settings, redis
        self._insist, self._counts, self._now, self._tick = insist, counts, now, tick
        self._waits: dict[str, Wait] = {}
        self._by_session: defaultdict[str, int] = defaultdict(int)

    async def find(self, exchange: Exchange, target: Target) -> tuple[Found, How]:
        """The object out of RAM, disk or bucket, waited for while it is made. Raises NotFound, StoreUnavailable and
        Refusal."""
        try:
            return await self._cache.get(target.key)
        except NotFound:
            session, chunk = exchange.session, await self._chunk_of(target)
            if session is None or chunk is None:
                raise
        with self._place(session):
            outcome = await self._wait(exchange, session, target=target, chunk=chunk)
        if outcome == "lost":
            raise NotFound(key=target.key)
        if outcome != "served":
            raise Refusal("not-made") if outcome == "over" else _being_made()
        found, how = await self._cache.get(target.key)
        return found, "collapsed" if how == "hit" else how

    async def _chunk_of(self, target: Target) -> str | None:
        """The chunk that will make it; None where it is not made, or promised, by any."""
        title, version, rendition = target.title, target.version, target.rendition
        if target.kind == "segment":
            key = names.segment(title, version, rendition, number=target.index)
        else:
            key = names.init(title, version, rendition)
        if target.key != key or self._cache.is_final(key):
            return None
        outline = await self._outlines.of(Version(title, version))
        return outline.chunk_of(rendition, target.index) if outline is not None else None

    @contextlib.contextmanager
    def _place(self, session: Session) -> Iterator[None]:
        """One of the requests that may wait at once. Raises Refusal being-made where there is no place."""
        sid, settings = session.claims.sid, self._settings
        if self._counts.holds >= settings.holds or self._by_session[sid] >= settings.holds_session:
            self._counts.held["refused"] += 1
            raise _being_made()
        self._counts.holds += 1
        self._by_session[sid] += 1
        try:
            yield
        finally:
            self._counts.holds -= 1
            self._by_session[sid] -= 1
            if not self._by_session[sid]:
                del self._by_session[sid]

    async def _wait(self, exchange: Exchange, session: Session, *, target: Target, chunk: str) -> Outcome:
        """Wait until it is there, is known not to come, the time is over, or the client left. Raises Refusal."""
        wait = self._waits.get(target.key) or self._begin(target, chunk)
        wait.requests += 1
        leaving = asyncio.create_task(bodies.left(exchange.receive))
        outcome: Outcome = "refused"
        until = self._tick() + self._settings.hold_s
        try:
            while not (wait.ended.done() or leaving.done()) and (left_s := until - self._tick()) > 0:
                await asyncio.wait(
                    (wait.ended, leaving), timeout=min(LOOK_S, left_s), return_when=asyncio.FIRST_COMPLETED
                )
                self._insist(session)
            outcome = wait.ended.result() if wait.ended.done() else "left" if leaving.done() else "late"
            return outcome
        finally:
            self._counts.held[outcome] += 1
            wait.requests -= 1
            if not wait.requests:
                del self._waits[target.key]
                await end(*wait.work)
            await end(leaving)

    def _begin(self, target: Target, chunk: str) -> Wait:
        wait = self._waits[target.key] = Wait()
        wait.work = [
            asyncio.create_task(self._look(wait, target.key)),
            asyncio.create_task(self._want(wait, target.version, chunk)),
        ]
        return wait

    async def _look(self, wait: Wait, key: str) -> None:
        """Ask the cache again and again: what it finds is there for all who wait."""
        while not wait.ended.done():
            await asyncio.sleep(LOOK_S)
            try:
                await self._cache.get(key)
                wait.end("served")
            except NotFound:
                if self._cache.is_final(key):
                    wait.end("lost")
            except StoreUnavailable:
                pass  # the next look may find it; who waits too long is told to come again

    async def _want(self, wait: Wait, version: str, chunk: str) -> None:
        """Say that a viewer waits, again and again: the chunk may be offered, or given back, after the first word."""
        while not wait.ended.done():
            with contextlib.suppress(RedisError, OSError):
                if await raise_need(self._redis, version, chunk, now_ms=int(self._now() * 1000)):
                    wait.end("over")
            await asyncio.sleep(RAISE_S)


def _being_made() -> Refusal:
    return Refusal("being-made", retry_after_s=1)
