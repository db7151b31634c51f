"""Finds who a session cookie or bearer value belongs to."""

from __future__ import annotations

from gateway.control.accounts.model import Stores
from gateway.control.accounts.sessions import Sessions
from gateway.control.auth import Principal
from gateway.control.db import Begin


class SessionFinder:
    """Checks the HMAC of a signed session, then its row. Nothing is cached: a session that ended is over at once."""

    def __init__(self, begin: Begin[Stores], sessions: Sessions) -> None:
        self._begin, self._sessions = begin, sessions

    async def find(self, signed: str) -> Principal | None:
        """The principal of a signed session; None when it is forged, ended or expired. Raises Unavailable."""
        session = self._sessions.read(signed)
        if session is None:
            return None
        now = self._sessions.now()
        async with self._begin() as unit:
            found = await unit.accounts.find(session, now)
            if found and found.last_seen < self._sessions.stale():
                await unit.accounts.touch(session, at=now, until=self._sessions.until())
        return found.principal if found else None
