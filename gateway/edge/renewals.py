"""Renewals: what this edge asks Redis for its sessions, and what it makes of the answers.

fails="closed" for new sessions, "open" for running ones up to `seat_outage_s`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from redis.exceptions import RedisError

from gateway.edge.comparing import Comparing
from gateway.edge.endings import Endings
from gateway.edge.places import Place
from gateway.edge.refusals import TABLE
from gateway.edge.revocations import title_of
from gateway.edge.session import Session
from shared import log
from shared.seats import Claim, Seats, Verdict
from shared.settings import EdgeSettings

#: Longest wait for Redis, and how long it is left alone after it failed.
REDIS_TIMEOUT_S: Final = 2.0
BACK_OFF_S: Final = 1.0
#: After Redis lost its memory, new sessions wait while edges register again what runs.
SETTLE_S: Final = 5.0
#: Re-registrations under way at once.
CONCURRENT: Final = 16


class Renewals:
    """Takes and renews seats, each session by one question at a time."""

    def __init__(
        self,
        seats: Seats,
        settings: EdgeSettings,
        *,
        endings: Endings,
        comparing: Comparing,
        edge: str,
        now: Callable[[], float],
        tick: Callable[[], float],
    ) -> None:
        self._seats, self._settings, self._endings = seats, settings, endings
        self._comparing = comparing
        self._edge, self._now, self._tick = edge, now, tick
        self._down_until = -math.inf
        self.settled_at = -math.inf
        self._log = log.get("edge.seats")

    def is_up(self) -> bool:
        """Whether the last question to Redis was answered."""
        return self._down_until == -math.inf

    def may_ask(self, tick: float) -> bool:
        """Whether Redis is not left alone just now."""
        return tick >= self._down_until

    async def ask(self, session: Session, place: Place | None = None) -> Verdict | None:
        """The verdict on a session that wants its seat, at `place` where that is new; None: Redis does not answer."""
        if session.renewal is None and not self.may_ask(self._tick()):
            return None
        # A task of its own: a viewer who leaves does not cancel the question half way.
        return await asyncio.shield(self.renew(session, place))

    def renew(self, session: Session, place: Place | None = None) -> asyncio.Task[Verdict | None]:
        """Ask in the background; joins a question that is under way."""
        if session.renewal is None:
            session.renewal = asyncio.create_task(self._take(session, place))
        return session.renewal

    def register_again(self, sessions: Mapping[str, Session]) -> None:
        """Redis forgot everything: register what runs here, and let new sessions wait for other edges."""
        tick = self._tick()
        self.settled_at, self._down_until = tick + SETTLE_S, -math.inf
        self._endings.epoch += 1
        running = [one for one in sessions.values() if self.is_running(one, tick)]
        self._endings.soon(self._renew_all(running))
        self._endings.soon(self._endings.again([one for one in sessions.values() if one.gone]))

    def catch_up(self, sessions: Mapping[str, Session]) -> None:
        """Messages may have been lost: Redis says of each session that runs whether it still does."""
        tick = self._tick()
        self._endings.soon(self._renew_all([one for one in sessions.values() if self.is_running(one, tick)]))

    async def _renew_all(self, sessions: Iterable[Session]) -> None:
        turns = asyncio.Semaphore(CONCURRENT)

        async def one(session: Session) -> None:
            async with turns:
                await asyncio.wait([self.renew(session)])

        await asyncio.gather(*(one(session) for session in sessions))

    def is_running(self, session: Session, tick: float) -> bool:
        """Whether a session that was seated is in use."""
        return (
            session.started
            and not session.gone
            and tick - session.confirmed < self._settings.seat_outage_s
            and tick - session.active < self._settings.seat_lease_s
        )

    async def _take(self, session: Session, place: Place | None) -> Verdict | None:
        """Ask Redis and note the answer; None: it gave none."""
        sent = self._tick()
        was_up = self.is_up()
        if not was_up:
            # One question finds out whether it is back; nobody else waits for that.
            self._down_until = sent + REDIS_TIMEOUT_S
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_S):
                verdict = await self._seats.take(self._claim(session, place))
                if verdict.anew:
                    await self._seats.remind(session.claims.sub, after_s=self._settings.seat_lease_s)
        except (RedisError, OSError, TimeoutError) as error:
            if was_up:
                self._log.warning("seats are not counted", words=repr(error))
            self._down_until = self._tick() + BACK_OFF_S
            return None
        finally:
            session.renewal = None
        self._down_until = -math.inf
        self._endings.tell(session.claims.sub, verdict.ended)
        self._note(session, verdict, sent)
        return verdict

    def _claim(self, session: Session, place: Place | None) -> Claim:
        claims = session.claims
        return Claim(
            sub=claims.sub,
            sid=claims.sid,
            cap=claims.cap,
            hmx=claims.hmx,
            may_start=session.started or self._now() < claims.exp,
            device=claims.d,
            place=place.prefix if place is not None else session.place,
            title=title_of(claims),
            is_bound=claims.b == "hard",
            country=place.country if place is not None else session.country,
            edge=self._edge,
            alt="" if place is not None else session.alt,
        )

    def _note(self, session: Session, verdict: Verdict, sent: float) -> None:
        if verdict.state == "elsewhere":
            return
        if verdict.state != "seated":
            session.confirmed, session.is_over = -math.inf, True
            if verdict.state == "gone":
                session.gone, session.seen = verdict.reason if verdict.reason in TABLE else "revoked", -1
            return
        was_held = sent - session.confirmed < self._settings.seat_lease_s
        session.place, session.alt = verdict.place or session.place, verdict.alt
        if verdict.anew:
            self._endings.began(session, was_held=was_held, edge=self._edge)
        session.confirmed, session.started, session.is_over = sent, True, bool(session.gone)
        session.due, session.refused = sent + self._settings.seat_renew_s, False
        if verdict.spread:
            self._comparing.spread(session)
        self._endings.watched(session)
