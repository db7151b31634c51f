"""Seats as this edge knows them: a local copy trusted for a lease and renewed in the background.

Redis is awaited at a session's first request here, and after a pause longer than its lease; every other request looks
at the local copy alone. fails="closed" for new sessions, "open" for running ones up to `seat_outage_s`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Final, Literal, NoReturn, Protocol

from redis.exceptions import RedisError

from gateway.edge.counts import Counts
from gateway.edge.journal import Journal
from gateway.edge.places import Place
from gateway.edge.refusals import TABLE, Refusal
from gateway.edge.revocations import Revocations, title_of
from gateway.edge.session import Session
from shared import log
from shared.network import place_of
from shared.seats import Claim, LiveSeat, Seats, Verdict
from shared.settings import EdgeSettings
from shared.tokens import Claims

#: Longest wait for Redis, and how long it is left alone after it failed.
REDIS_TIMEOUT_S: Final = 2.0
BACK_OFF_S: Final = 1.0
#: After Redis lost its memory, new sessions wait while edges register again what runs.
SETTLE_S: Final = 5.0
#: Re-registrations under way at once.
CONCURRENT: Final = 16
#: What keeps a seat.
Activity = Literal["segment", "playlist", "beat"]


class Media(Protocol):
    """What is fetched: a segment of a title's version. `index` is -1 for what is no segment."""

    @property
    def title(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def is_sound(self) -> bool: ...


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
    ) -> None:
        self._seats, self._settings, self._revocations = seats, settings, revocations
        self._journal, self._counts, self._edge = journal, counts, edge
        self._now, self._tick = now, tick
        self._sessions: dict[str, Session] = {}
        self._down_until = self._settled_at = -math.inf
        self._leaving: set[asyncio.Task[None]] = set()
        self._log = log.get("edge.seats")

    def __len__(self) -> int:
        return len(self._sessions)

    def touch(self, claims: Claims, source: Activity, place: Place | str) -> Session | None:
        """Note activity of a session that holds its seat; None: ask `admit`. Never waits. Raises Refusal."""
        session = self._sessions.get(claims.sid)
        if session is None:
            return None
        if isinstance(place, str):
            place = Place(place_of(place))
        tick = self._tick()
        session.active = tick
        self._check(session, claims, place)
        if tick - session.confirmed >= self._settings.seat_lease_s:
            return None
        self._counts.activity[source] += 1
        if tick >= session.due and tick >= self._down_until:
            self._renew(session)
        return session

    async def admit(self, claims: Claims, place: Place | str) -> Session:
        """Take a seat in Redis for a session that holds none as far as is known here. Raises Refusal."""
        if isinstance(place, str):
            place = Place(place_of(place))
        session = self._sessions.get(claims.sid)
        if session is None:
            session = self._sessions[claims.sid] = Session(claims, tick=self._tick())
        self._check(session, claims, place)
        if not session.started:
            self._wait_until_settled()
            session.place = place.prefix
        verdict = await self._ask(session)
        if verdict is None:
            self._play_on(session)
        elif verdict.state != "seated":
            self._refuse(session, _refusal(verdict, claims))
        self._check(session, claims, place)
        return session

    async def leave(self, claims: Claims, *, grace_s: int = 0) -> None:
        """Free the seat of a session that ends; it may take one again. Never raises: a lost one frees itself."""
        session = self._sessions.get(claims.sid) or Session(claims, tick=self._tick())
        if session.renewal is not None:
            await asyncio.wait([session.renewal])
        session.confirmed = -math.inf
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_S):
                held = await self._seats.leave(claims.sub, claims.sid, grace_s=grace_s)
        except (RedisError, OSError, TimeoutError):
            return
        if held:
            self._journal.tell("playback.stop", claims.sid, session.data(reason=session.gone or "end"))

    async def end(self, claims: Claims) -> None:
        """The page closed. It may be a reload, so the seat stays for a moment that only this session can use."""
        await self.leave(claims, grace_s=self._settings.seat_end_s)

    def fetch(self, session: Session, target: Media, place: Place) -> float:
        """Note that a segment is about to be sent; the seconds to hold it back before. Raises Refusal too-fast."""
        return 0.0

    def delivered(self, session: Session, target: Media, place: Place, *, whole: bool) -> None:
        """Note that bytes of a segment were handed over, all of them where it is `whole`."""
        claims = session.claims
        if claims.scope not in session.told:
            self.first_media(session, claims)

    def at(self, session: Session, seconds: float) -> None:
        """Note the position a player told."""

    def keep(self, session: Session) -> bool:
        """Note that bytes of a body are on their way; whether they may go on. Between the pieces of a long one."""
        return not session.is_over

    def first_media(self, session: Session, claims: Claims) -> None:
        """Tell control, once, that the first media of a title left in a session."""
        if claims.scope not in session.told:
            session.told.add(claims.scope)
            self._journal.tell("playback.first_media", claims.sid, session.data(title=title_of(claims)))

    async def register_again(self) -> None:
        """Redis forgot everything: register at once what runs here, and let new sessions wait for other edges."""
        tick = self._tick()
        self._settled_at, self._down_until = tick + SETTLE_S, -math.inf
        turns = asyncio.Semaphore(CONCURRENT)

        async def again(session: Session) -> None:
            async with turns:
                await asyncio.wait([self._renew(session)])

        await asyncio.gather(*(again(one) for one in self._sessions.values() if self._is_running(one, tick)))

    def renew_soon(self) -> None:
        """Messages may have been lost: the next activity of each session renews its seat, which tells if it is gone."""
        for session in self._sessions.values():
            session.due = -math.inf

    def sweep(self) -> None:
        """Forget sessions that were not active for longer than they could play on without Redis."""
        limit = max(self._settings.seat_outage_s, self._settings.seat_lease_s)
        tick = self._tick()
        for sid, session in list(self._sessions.items()):
            if tick - session.active > limit:
                del self._sessions[sid]

    def is_redis_up(self) -> bool:
        """Whether the last question to Redis was answered."""
        return self._down_until == -math.inf

    def _is_running(self, session: Session, tick: float) -> bool:
        return (
            session.started
            and not session.gone
            and tick - session.confirmed < self._settings.seat_outage_s
            and tick - session.active < self._settings.seat_lease_s
        )

    def _check(self, session: Session, claims: Claims, place: Place) -> None:
        """What ends a session or keeps a token out, as far as it is known here."""
        if claims is not session.claims and claims.iat >= session.claims.iat:
            session.claims, session.seen = claims, -1
        if session.gone:
            self._refuse(session, Refusal(session.gone))
        if session.seen != self._revocations.version or claims is not session.claims:
            self._hold_against_revocations(session, claims)
        if claims.b == "hard" and session.started and place.prefix != session.place:
            raise Refusal("binding")

    def _hold_against_revocations(self, session: Session, claims: Claims) -> None:
        try:
            self._revocations.check(claims)
        except Refusal as refusal:
            if claims is session.claims and session.confirmed > -math.inf:
                session.confirmed = -math.inf
                task = asyncio.create_task(self.leave(claims))
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)
            self._refuse(session, refusal)
        if claims is session.claims:
            session.seen = self._revocations.version

    def _refuse(self, session: Session, refusal: Refusal) -> NoReturn:
        if not session.refused:
            session.refused = True
            self._journal.tell("playback.refused", session.claims.sid, session.data(reason=refusal.code))
        raise refusal

    def _wait_until_settled(self) -> None:
        left = self._settled_at - self._tick()
        if left > 0:
            words = "Screens are being counted anew; try again in a moment."
            raise Refusal("seats-unavailable", words, retry_after_s=math.ceil(left))

    def _play_on(self, session: Session) -> None:
        """Redis does not answer: a running session goes on for a while, a new one only where that is set."""
        running = self._tick() - session.confirmed < self._settings.seat_outage_s
        if not running and not self._settings.seat_open:
            raise Refusal("seats-unavailable", retry_after_s=2)

    async def _ask(self, session: Session) -> Verdict | None:
        if session.renewal is None and self._tick() < self._down_until:
            return None
        # A task of its own: a viewer who leaves does not cancel the question half way.
        return await asyncio.shield(self._renew(session))

    def _renew(self, session: Session) -> asyncio.Task[Verdict | None]:
        if session.renewal is None:
            session.renewal = asyncio.create_task(self._take(session))
        return session.renewal

    async def _take(self, session: Session) -> Verdict | None:
        """Ask Redis and note the answer; None: it gave none."""
        sent, claims = self._tick(), session.claims
        was_up = self.is_redis_up()
        if not was_up:
            # One question finds out whether it is back; nobody else waits for that.
            self._down_until = sent + REDIS_TIMEOUT_S
        claim = Claim(
            sub=claims.sub,
            sid=claims.sid,
            cap=claims.cap,
            hmx=claims.hmx,
            may_start=session.started or self._now() < claims.exp,
            device=claims.d,
            place=session.place,
            title=title_of(claims),
        )
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_S):
                verdict = await self._seats.take(claim)
        except (RedisError, OSError, TimeoutError) as error:
            if was_up:
                self._log.warning("seats are not counted", words=repr(error))
            self._down_until = self._tick() + BACK_OFF_S
            return None
        finally:
            session.renewal = None
        self._down_until = -math.inf
        self._note(session, verdict, sent)
        return verdict

    def _note(self, session: Session, verdict: Verdict, sent: float) -> None:
        if verdict.state != "seated":
            session.confirmed = -math.inf
            if verdict.state == "gone":
                session.gone = verdict.reason if verdict.reason in TABLE else "revoked"
            return
        if verdict.first and not session.started:
            data = session.data(device=session.claims.d, place=session.place, edge=self._edge)
            self._journal.tell("playback.start", session.claims.sid, data)
        session.confirmed, session.started, session.place = sent, True, verdict.place or session.place
        session.due, session.refused = sent + self._settings.seat_renew_s, False


def _refusal(verdict: Verdict, claims: Claims) -> Refusal:
    if verdict.state == "full":
        return _full(verdict.seats, claims.cap)
    if verdict.state == "gone":
        return Refusal(verdict.reason if verdict.reason in TABLE else "revoked")
    return Refusal("start-window-over")


def _full(seats: tuple[LiveSeat, ...], cap: int) -> Refusal:
    screens = "one screen" if len(seats) == 1 else f"{len(seats)} screens"
    listed = [{"device": one.device, "place": one.place, "since": one.since} for one in seats]
    words = f"You are watching on {screens} already. Stop one of them, then try again."
    return Refusal("seats-full", words, cap=cap, seats=listed)
