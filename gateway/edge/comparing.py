"""Comparing: sessions that come from several prefixes or are served by several edges, judged as time passes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from redis.exceptions import RedisError

from gateway.edge.endings import Endings
from gateway.edge.reports import Reports
from gateway.edge.session import Session
from gateway.edge.sharing import Evidence
from gateway.edge.thresholds import limits_of
from shared import log
from shared.settings import EdgeSettings

#: Seconds between two rounds, within which a session is judged.
ROUND_S: Final = 1.0
#: A session that was not active for so long is not compared any more.
IDLE_S: Final = 60.0
#: A session counts as served by several edges for this long after it was last seen to be.
SPREAD_S: Final = 60.0
TIMEOUT_S: Final = 2.0


class Comparing:
    """Evidence of sharing. fails="open": while Redis is away each edge judges by what it sees alone."""

    def __init__(
        self, reports: Reports | None, settings: EdgeSettings, *, endings: Endings, edge: str, tick: Callable[[], float]
    ) -> None:
        self._reports, self._endings, self._edge, self._tick = reports, endings, edge, tick
        self._limits, self._every_s = limits_of(settings), settings.sharing_report_s
        self._sessions: dict[Session, float] = {}
        self._log = log.get("edge.sharing")

    def evidence_of(self, session: Session) -> Evidence:
        """The evidence of a session, begun where there is none."""
        if session.evidence is None:
            session.evidence = Evidence(self._limits, binding=session.claims.b)
        return session.evidence

    def look(self, session: Session, tick: float) -> None:
        """Judge now, and from now on as time passes."""
        evidence = self.evidence_of(session)
        if evidence.is_compared:
            self._sessions.setdefault(session, tick)
        finding = evidence.judge(tick)
        if finding is not None:
            self._endings.share(session, finding)

    def spread(self, session: Session) -> None:
        """Other edges serve the session too: compare with them for a while."""
        if self._reports is not None:
            tick = self._tick()
            session.spread_until = tick + SPREAD_S
            self.evidence_of(session).compare()
            self._sessions.setdefault(session, tick)

    async def run(self) -> None:
        """Go round for ever."""
        while True:
            await asyncio.sleep(ROUND_S)
            try:
                await self.round()
            except (RedisError, OSError, TimeoutError) as error:
                self._log.warning("edges do not compare sessions", words=repr(error))

    async def round(self) -> None:
        """Swap reports where that is due, and judge. Raises redis.RedisError."""
        for session, due in list(self._sessions.items()):
            tick = self._tick()
            if session.gone or tick - session.active > IDLE_S:
                self._drop(session)
                continue
            if self._reports is not None and due <= tick < session.spread_until:
                self._sessions[session] = tick + self._every_s
                async with asyncio.timeout(TIMEOUT_S):
                    await self._swap(self._reports, session)
            self.look(session, self._tick())

    def _drop(self, session: Session) -> None:
        del self._sessions[session]
        session.heard = ""
        if session.evidence is not None:
            session.evidence.stop_comparing()

    async def _swap(self, reports: Reports, session: Session) -> None:
        """Tell the other edges what is new, and hear what they saw."""
        evidence, claims = self.evidence_of(session), session.claims
        evidence.compare()
        report = evidence.report(self._edge, self._tick(), with_past=not session.heard)
        told, session.heard = await reports.swap(claims.sub, claims.sid, report, since=session.heard)
        if report is not None:
            evidence.reported(report)
        for one in told:
            evidence.hear(one.report, self._tick() - one.ago_s)
        if told:
            session.spread_until = self._tick() + SPREAD_S
