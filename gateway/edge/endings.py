"""Endings: how sessions leave their seats, what control is told of it, and the watch time that is left to tell."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from redis.exceptions import RedisError

from gateway.edge.counts import Counts
from gateway.edge.delivered import WatchTime
from gateway.edge.journal import Journal
from gateway.edge.session import Session
from gateway.edge.sharing import Finding
from shared.seats import Ended, Seats

#: Longest wait for Redis.
TIMEOUT_S: Final = 2.0
#: Seconds between two looks for seats that ran out, and viewers looked at in one go.
LOOK_S: Final = 1.0
LOOKS: Final = 64


class Endings:
    """Starts and stops of seats. Redis' removal of a seat is what is told, so a stop is told once for each seat,
    whichever edge finds it."""

    def __init__(
        self,
        seats: Seats,
        sessions: dict[str, Session],
        *,
        journal: Journal,
        watch_time: WatchTime | None,
        counts: Counts,
        tick: Callable[[], float],
    ) -> None:
        self._seats, self._sessions, self._journal = seats, sessions, journal
        self._watch_time, self._counts, self._tick = watch_time, counts, tick
        #: How often Redis lost its memory.
        self.epoch = 0
        self._tasks: set[asyncio.Task[None]] = set()
        #: Sessions that were shared, until Redis knows.
        self._shared: dict[Session, Finding] = {}

    def began(self, session: Session, *, was_held: bool, edge: str) -> None:
        """A seat was taken. Told, unless it is one that Redis forgot while it was held."""
        if session.is_seated and (was_held or session.epoch != self.epoch):
            session.epoch = self.epoch
            return
        session.is_seated, session.epoch = True, self.epoch
        data = session.data(device=session.claims.d, place=session.place, edge=edge)
        self._journal.tell("playback.start", session.claims.sid, data)

    def tell(self, sub: str, ended: Iterable[Ended]) -> None:
        """Seats were freed in Redis by this edge."""
        for one in ended:
            session = self._sessions.get(one.sid)
            if session is None:
                data: dict[str, object] = {"sid": one.sid, "sub": sub, "title": one.title, "reason": one.reason}
                self._journal.tell("playback.stop", one.sid, data)
            else:
                self._stopped(session, one.reason)

    def watched(self, session: Session) -> None:
        """Have what is new of its watch time told."""
        if self._watch_time is not None:
            for reel in session.reels.values():
                self._watch_time.put(reel)

    async def leave(self, session: Session, reason: str, *, grace_s: int = 0) -> None:
        """Free the seat, now or after a moment. Never raises: a lost one frees itself."""
        if session.renewal is not None:
            await asyncio.wait([session.renewal])
        session.confirmed = float("-inf")
        self.watched(session)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                held = await self._seats.leave(session.claims.sub, session.claims.sid, grace_s=grace_s)
        except (RedisError, OSError, TimeoutError):
            return
        if held and not grace_s:
            self._stopped(session, reason)

    def leave_soon(self, session: Session, reason: str, *, grace_s: int = 0) -> asyncio.Task[None]:
        """`leave` in the background; it goes on when who asked for it is gone."""
        return self.soon(self.leave(session, reason, grace_s=grace_s))

    def soon(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Work in the background, which the end of the edge waits for."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def share(self, session: Session, finding: Finding) -> None:
        """End a session that is shared: here at once, and everywhere when Redis has heard."""
        if session.gone:
            return
        session.gone, session.seen, session.is_over = "shared", -1, True
        self._shared[session] = finding
        self.soon(self._banish())

    async def again(self, gone: Iterable[Session]) -> None:
        """Redis forgot everything: tell it again who is over for good."""
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            for session in gone:
                claims = session.claims
                await self._seats.banish(claims.sub, claims.sid, reason=session.gone, hmx=claims.hmx)

    async def run(self) -> None:
        """Look for seats that ran out, and tell of shared sessions that Redis has not heard of, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                async with asyncio.timeout(TIMEOUT_S * LOOKS):
                    await self._banish()
                    while await self.look() == LOOKS:
                        pass
            except (RedisError, OSError, TimeoutError):
                continue

    async def look(self) -> int:
        """Free seats that ran out, of viewers who are due; how many were. Raises redis.RedisError."""
        subs = await self._seats.due(LOOKS)
        for sub in subs:
            ended, next_s = await self._seats.expire(sub)
            self.tell(sub, ended)
            if next_s:
                await self._seats.remind(sub, after_s=next_s)
            await self._seats.looked(sub)
        return len(subs)

    async def finish(self) -> None:
        """Wait for what is under way, and tell what is left of watch time."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=TIMEOUT_S)
        if self._watch_time is not None:
            await self._watch_time.flush(reel for session in self._sessions.values() for reel in session.reels.values())

    def forget(self, session: Session) -> None:
        """The session is not known here any more. A seat of before Redis lost its memory is told of now."""
        self.watched(session)
        if session.is_seated and session.epoch != self.epoch:
            self._stopped(session, "idle")

    def _stopped(self, session: Session, reason: str) -> None:
        session.is_seated = False
        self.watched(session)
        self._journal.tell("playback.stop", session.claims.sid, session.data(reason=reason))

    async def _banish(self) -> None:
        for session, finding in list(self._shared.items()):
            claims = session.claims
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    is_first, held = await self._seats.banish(claims.sub, claims.sid, reason="shared", hmx=claims.hmx)
            except (RedisError, OSError, TimeoutError):
                return
            if self._shared.pop(session, None) is None:
                continue
            if is_first:
                self._counts.shared[finding.reason] += 1
                data = session.data(score=finding.score, reason=finding.reason)
                self._journal.tell("playback.sharing", claims.sid, data)
            if held:
                self._stopped(session, "shared")
