"""Renewals: what this edge asks Redis for its sessions, and what it makes of the answers.

fails="closed" for new sessions, "open" for running ones up to `seat_outage_s`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

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
#: Renewals wait this long for others to go with, and so many go by one message.
LINGER_S: Final = 0.1
TOGETHER: Final = 256


class _Question(NamedTuple):
    """One session that wants its seat, at `place` where that is new."""

    session: Session
    place: Place | None
    answer: asyncio.Future[Verdict | None]


class Renewals:
    """Takes and renews seats, each session by one question at a time, many sessions by one message."""

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
        self._waiting: list[_Question] = []
        self._asking: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
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
        answer = self.renew(session, place)
        self._hurry()
        # A viewer who leaves does not cancel the question half way.
        return await asyncio.shield(answer)

    def renew(self, session: Session, place: Place | None = None) -> asyncio.Future[Verdict | None]:
        """Ask before long, together with others; joins a question that is under way."""
        if session.renewal is None:
            loop = asyncio.get_running_loop()
            session.renewal = loop.create_future()
            self._waiting.append(_Question(session, place, session.renewal))
            if self._asking is None and self._timer is None:
                self._timer = loop.call_later(LINGER_S, self._hurry)
        return session.renewal

    def register_again(self, sessions: Mapping[str, Session]) -> None:
        """Redis forgot everything: register what runs here, and let new sessions wait for other edges."""
        self.settled_at, self._down_until = self._tick() + SETTLE_S, -math.inf
        self._endings.epoch += 1
        self.catch_up(sessions)
        self._endings.soon(self._endings.again([one for one in sessions.values() if one.gone]))

    def catch_up(self, sessions: Mapping[str, Session]) -> None:
        """Messages may have been lost: Redis says of each session that runs whether it still does."""
        tick = self._tick()
        for session in sessions.values():
            if self.is_running(session, tick):
                self.renew(session)
        self._hurry()

    def is_running(self, session: Session, tick: float) -> bool:
        """Whether a session that was seated is in use."""
        return (
            session.started
            and not session.gone
            and self._now() < session.claims.hmx
            and tick - session.confirmed < self._settings.seat_outage_s
            and tick - session.active < self._settings.seat_lease_s
        )

    async def finish(self) -> None:
        """At the end: ask no more, and wait for what is under way."""
        if self._timer is not None:
            self._timer.cancel()
        waiting, self._waiting = self._waiting, []
        _answer(waiting, None)
        if self._asking is not None:
            await asyncio.wait([self._asking])

    def _hurry(self) -> None:
        """Ask now what waits; what comes while that is under way goes with the next message."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._asking is None and self._waiting:
            self._asking = asyncio.create_task(self._ask_all())

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
                try:
                    await self._ask_together(together)
                finally:
                    _answer(together, None)
        finally:
            self._asking = None

    async def _ask_together(self, questions: Sequence[_Question]) -> None:
        """Ask Redis and note the answers. Where it gives none, all that wait have none."""
        sent, was_up = self._tick(), self.is_up()
        if not was_up:
            # One message finds out whether it is back; nobody else waits for that.
            self._down_until = sent + REDIS_TIMEOUT_S
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_S):
                verdicts = await self._seats.take_many([self._claim(one.session, one.place) for one in questions])
                if anew := [one.session.claims.sub for one, said in _answered(questions, verdicts) if said.anew]:
                    await self._seats.remind(*anew, after_s=self._settings.seat_lease_s)
        except (RedisError, OSError, TimeoutError) as error:
            if was_up:
                self._log.warning("seats are not counted", words=repr(error))
            self._down_until = self._tick() + BACK_OFF_S
            waiting, self._waiting = self._waiting, []
            _answer(waiting, None)
            return
        self._down_until = -math.inf
        for words in {str(said) for said in verdicts if isinstance(said, RedisError)}:
            self._log.error("a seat cannot be judged", words=words)
        for question, verdict in _answered(questions, verdicts):
            self._endings.tell(question.session.claims.sub, verdict.ended)
            self._note(question.session, verdict, sent)
            _answer((question,), verdict)

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


def _answered(
    questions: Sequence[_Question], verdicts: Sequence[Verdict | RedisError]
) -> list[tuple[_Question, Verdict]]:
    """Those who got a verdict, with it."""
    return [(one, said) for one, said in zip(questions, verdicts, strict=True) if not isinstance(said, RedisError)]


def _answer(questions: Iterable[_Question], verdict: Verdict | None) -> None:
    """Tell who waits, unless they were told."""
    for question in questions:
        if not question.answer.done():
            question.session.renewal = None
            question.answer.set_result(verdict)
