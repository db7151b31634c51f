"""Seats as this edge knows them: a local copy trusted for a lease and renewed in the background.

Redis is awaited at a session's first request here, and after a pause longer than its lease; every other request looks
at the local copy alone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable
from typing import Final, Literal, NoReturn

from gateway.edge.comparing import Comparing
from gateway.edge.counts import Counts
from gateway.edge.delivered import Reel, WatchTime
from gateway.edge.endings import Endings
from gateway.edge.journal import Journal
from gateway.edge.pace import Pace
from gateway.edge.places import Place
from gateway.edge.refusals import TABLE, Refusal
from gateway.edge.renewals import BACK_OFF_S, REDIS_TIMEOUT_S, SETTLE_S, Renewals
from gateway.edge.reports import Reports
from gateway.edge.revocations import Revocations, title_of
from gateway.edge.session import Session
from gateway.edge.sharing import Media
from shared.events import Push
from shared.seats import LiveSeat, Seats, Verdict
from shared.settings import EdgeSettings
from shared.tokens import Claims

__all__ = ["BACK_OFF_S", "REDIS_TIMEOUT_S", "SETTLE_S", "Activity", "LocalSeats", "Session"]

#: What keeps a seat.
Activity = Literal["segment", "playlist", "beat"]
#: Titles and versions of which a session's watch time is kept here.
REELS: Final = 8
#: Sessions looked at in one go when revocations are held against all of them.
SLICE: Final = 500


class LocalSeats:
    """All sessions that play through this edge."""

    def __init__(
        self,
        seats: Seats,
        settings: EdgeSettings,
        *,
        revocations: Revocations,
        journal: Journal,
        counts: Counts,
        edge: str,
        now: Callable[[], float],
        tick: Callable[[], float],
        watch_time: WatchTime | None = None,
        reports: Reports | None = None,
    ) -> None:
        self._settings, self._revocations, self._journal, self._counts = settings, revocations, journal, counts
        self._now, self._tick, self._lease_s = now, tick, settings.seat_lease_s
        self._sessions: dict[str, Session] = {}
        self._watch_time, self._pace = watch_time, Pace(settings)
        self.endings = Endings(seats, self._sessions, journal=journal, watch_time=watch_time, counts=counts, tick=tick)
        self.comparing = Comparing(reports, settings, endings=self.endings, edge=edge, tick=tick)
        self._renewals = Renewals(
            seats, settings, endings=self.endings, comparing=self.comparing, edge=edge, now=now, tick=tick
        )

    def __len__(self) -> int:
        return len(self._sessions)

    def touch(self, claims: Claims, source: Activity, place: Place) -> Session | None:
        """Note activity of a session that holds its seat; None: ask `admit`. Never waits. Raises Refusal."""
        session = self._sessions.get(claims.sid)
        if session is None:
            return None
        if (
            place is not session.here or claims is not session.claims or session.seen != self._revocations.version
        ) and not self._lets_in(session, claims, place):
            return None
        tick = session.active = self._tick()
        if tick - session.confirmed >= self._lease_s:
            return None
        self._counts.activity[source] += 1
        if tick >= session.due and self._renewals.may_ask(tick):
            self._renewals.renew(session)
        return session

    async def admit(self, claims: Claims, place: Place) -> Session:
        """Take a seat in Redis for a session that holds none as far as is known here. Raises Refusal."""
        session = self._sessions.get(claims.sid)
        if session is None:
            session = self._sessions[claims.sid] = Session(claims, tick=self._tick())
        is_new_place = not self._lets_in(session, claims, place)
        session.active = self._tick()
        if not session.started:
            self._wait_until_settled()
            session.place, session.country = place.prefix, place.country
        if is_new_place and session.renewal is not None:
            await asyncio.wait([session.renewal])
        verdict = await self._renewals.ask(session, place if is_new_place else None)
        if verdict is None:
            self._play_on(session)
        elif verdict.state != "seated":
            self._refuse(session, _refusal(verdict, claims))
        if not self._lets_in(session, claims, place):
            raise Refusal("binding")
        return session

    async def end(self, claims: Claims) -> None:
        """The page closed. It may be a reload, so the seat stays for a moment that only this session can use."""
        session = self._sessions.get(claims.sid) or Session(claims, tick=self._tick())
        await asyncio.shield(self.endings.leave_soon(session, "end", grace_s=self._settings.seat_end_s))

    def fetch(self, session: Session, target: Media, place: Place) -> float:
        """Note that a segment is about to be sent; the seconds to hold it back before, mostly 0.0. Raises Refusal
        too-fast, or shared when the session is in too many hands."""
        tick = self._tick()
        hold_s = self._pace.take(session, place.prefix, tick)
        evidence = session.evidence or self.comparing.evidence_of(session)
        if evidence.fetched(target, place, tick):
            self.comparing.look(session, tick)
            if session.gone:
                self._refuse(session, Refusal(session.gone))
        return hold_s

    def trace(self, session: Session) -> int:
        """What the last `fetch` left in the evidence of its session, for `unserved`."""
        return session.evidence.trace if session.evidence is not None else 0

    def unserved(self, session: Session, target: Media, trace: int) -> None:
        """Note that a segment was not sent after all: asking for it again is no sign of sharing."""
        if session.evidence is not None:
            session.evidence.unserved(target, trace)

    def delivered(self, session: Session, target: Media, place: Place, *, whole: bool) -> None:
        """Note that bytes of a segment were handed over, all of them where it is `whole`."""
        if target.index < 0:
            return
        reel = session.reel
        if reel is None or reel.version != target.version or reel.title != target.title:
            reel = session.reel = self._reel_of(session, target.title, target.version)
        if whole:
            reel.mark(target.index, target.is_sound)
        if target.title not in session.told:
            self._tell_first(session, target.title)

    def at(self, session: Session, seconds: float) -> None:
        """Note the position a player told, of what it plays here. A number that is none is not noted."""
        if 0 <= seconds < math.inf:
            title = title_of(session.claims)
            reel = session.reel or self._reel_of(session, title, "")
            reel.position_s, reel.is_fresh = seconds, True

    def keep(self, session: Session) -> bool:
        """Note that bytes of a body are on their way; whether they may go on. Between the pieces of a long one."""
        if session.is_over or self._now() >= session.claims.hmx:
            return False
        if session.seen != self._revocations.version:
            return self._is_spared(session)
        tick = session.active = self._tick()
        if tick >= session.due and self._renewals.may_ask(tick):
            self._renewals.renew(session)
        since_s = tick - session.confirmed
        return since_s < self._lease_s or (since_s < self._settings.seat_outage_s and not self._renewals.is_up())

    def insist(self, session: Session) -> None:
        """The same, in the words of a refusal. Raises it where they may not."""
        if not self.keep(session):
            raise Refusal(session.gone or ("over" if self._now() >= session.claims.hmx else "revoked"))

    def register_again(self) -> None:
        """Redis forgot everything: register soon what runs here, and let new sessions wait for other edges."""
        for session in self._sessions.values():
            for reel in session.reels.values():
                reel.forget_sent()
        self._renewals.register_again(self._sessions)

    async def catch_up(self) -> None:
        """Messages may have been lost: hold what is known against all sessions, and ask soon for those that run."""
        await self.hold_against_revocations()
        self._renewals.catch_up(self._sessions)

    def is_spread(self, sid: str) -> None:
        """Another edge serves a session too."""
        session = self._sessions.get(sid)
        if session is not None:
            self.comparing.spread(session)

    def has_left(self, sid: str) -> None:
        """A session gave its seat back on some edge: its next request here asks for one before it gets any bytes."""
        session = self._sessions.get(sid)
        if session is None:
            return
        session.confirmed = min(session.confirmed, self._tick() - self._lease_s)
        if session.renewal is not None:
            # Its answer may be older than the end, and come after the news of it: the next request asks again.
            session.renewal.add_done_callback(lambda _: setattr(session, "due", -math.inf))

    async def hold_against_revocations(self, push: Push | None = None) -> None:
        """Stop the sessions that were revoked, by `push` or ever; also those whose bytes are on their way."""
        if push is not None and push.kind == "sid":
            session = self._sessions.get(push.key)
            if session is not None and not self._is_spared(session) and push.iat >= session.claims.hmx:
                # No later link of it can live either: it is over for good, also for a Redis that forgets.
                session.gone, session.seen = push.reason if push.reason in TABLE else "revoked", -1
            return
        for number, session in enumerate(list(self._sessions.values())):
            if session.seen != self._revocations.version:
                self._is_spared(session)
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)

    def sweep(self) -> None:
        """Forget sessions that were not active for longer than they could play on without Redis."""
        limit = max(self._settings.seat_outage_s, self._lease_s)
        tick = self._tick()
        for sid, session in list(self._sessions.items()):
            if tick - session.active > limit:
                del self._sessions[sid]
                self.endings.forget(session)

    async def finish(self) -> None:
        """At the end of the edge: what is under way is done, nothing new begun."""
        await self._renewals.finish()
        await self.endings.finish()

    def is_redis_up(self) -> bool:
        """Whether the last question to Redis was answered."""
        return self._renewals.is_up()

    def _lets_in(self, session: Session, claims: Claims, place: Place) -> bool:
        """What ends a session or keeps a token out, as far as it is known here. False: Redis must say whether this
        place is the session's second one. Raises Refusal."""
        if claims is not session.claims and claims.iat >= session.claims.iat:
            if claims.hmx > session.claims.hmx:
                # Redis frees the seat at the hard end that it knows.
                session.due = -math.inf
            session.claims, session.seen = claims, -1
        if session.gone:
            self._refuse(session, Refusal(session.gone))
        if session.seen != self._revocations.version or claims is not session.claims:
            self._hold_against_revocations(session, claims)
        if claims.b == "hard" and session.started and place.prefix not in (session.place, session.alt):
            if session.alt or not place.prefix or (":" in session.place) == (place.family == 6):
                raise Refusal("binding")
            return False
        session.here = place
        return True

    def _hold_against_revocations(self, session: Session, claims: Claims) -> None:
        try:
            self._revocations.check(claims)
        except Refusal as refusal:
            if claims is session.claims:
                session.is_over = True
                if session.confirmed > -math.inf:
                    session.confirmed = -math.inf
                    self.endings.leave_soon(session, refusal.code)
            self._refuse(session, refusal)
        if claims is session.claims:
            session.seen = self._revocations.version

    def _is_spared(self, session: Session) -> bool:
        try:
            self._hold_against_revocations(session, session.claims)
        except Refusal:
            return False
        return not session.is_over

    def _refuse(self, session: Session, refusal: Refusal) -> NoReturn:
        if not session.refused:
            session.refused = True
            self._journal.tell("playback.refused", session.claims.sid, session.data(reason=refusal.code))
        raise refusal

    def _wait_until_settled(self) -> None:
        left = self._renewals.settled_at - self._tick()
        if left > 0:
            words = "Screens are being counted anew; try again in a moment."
            raise Refusal("seats-unavailable", words, retry_after_s=math.ceil(left))

    def _play_on(self, session: Session) -> None:
        """Redis does not answer: a running session goes on for a while, a new one only where that is set."""
        running = self._tick() - session.confirmed < self._settings.seat_outage_s
        if not running and not self._settings.seat_open:
            raise Refusal("seats-unavailable", retry_after_s=2)

    def _reel_of(self, session: Session, title: str, version: str) -> Reel:
        """Its reel of a version, begun where there is none."""
        reel = session.reels.pop((title, version), None)
        if reel is None:
            reel = Reel(session.claims.sid, session.claims.sub, title=title, version=version)
        session.reels[title, version] = reel
        if len(session.reels) > REELS:
            oldest = session.reels.pop(next(iter(session.reels)))
            if self._watch_time is not None:
                self._watch_time.put(oldest)
        return reel

    def _tell_first(self, session: Session, title: str) -> None:
        session.told.add(title)
        self._journal.tell("playback.first_media", session.claims.sid, session.data(title=title))


def _refusal(verdict: Verdict, claims: Claims) -> Refusal:
    if verdict.state == "full":
        return _full(verdict.seats, claims.cap)
    if verdict.state == "gone":
        return Refusal(verdict.reason if verdict.reason in TABLE else "revoked")
    return Refusal("binding" if verdict.state == "elsewhere" else "start-window-over")


def _full(seats: Iterable[LiveSeat], cap: int) -> Refusal:
    listed = [{"device": one.device, "place": one.place, "since": one.since} for one in seats]
    screens = "one screen" if len(listed) == 1 else f"{len(listed)} screens"
    words = f"You are watching on {screens} already. Stop one of them, then try again."
    return Refusal("seats-full", words, cap=cap, seats=listed)
