"""A session as one edge knows it: where it plays, what it has told, and until when it is trusted."""

from __future__ import annotations

import asyncio
import math

from gateway.edge.revocations import title_of
from shared.seats import Verdict
from shared.tokens import Claims


class Session:
    """What this edge knows of one session. Times are the edge's own ticks."""

    __slots__ = (
        "active",
        "claims",
        "confirmed",
        "due",
        "gone",
        "is_over",
        "place",
        "refused",
        "renewal",
        "seen",
        "started",
        "told",
    )

    def __init__(self, claims: Claims, *, tick: float) -> None:
        self.claims, self.active, self.place = claims, tick, ""
        #: When the last renewal that succeeded was sent: Redis holds the seat for a lease from then or longer.
        self.confirmed = -math.inf
        #: When activity renews it next.
        self.due = -math.inf
        #: Why it is over for good, and the version of Revocations it was last held against.
        self.gone, self.seen = "", -1
        #: Whether bytes on their way must stop: it was revoked or taken over, or lost its seat.
        self.is_over = False
        self.started = self.refused = False
        #: Scopes of which the first media was told: a screen may go on to another title in one session.
        self.told: set[str] = set()
        self.renewal: asyncio.Task[Verdict | None] | None = None

    def data(self, **more: str) -> dict[str, str]:
        """What every event about it says."""
        return {"sid": self.claims.sid, "sub": self.claims.sub, "title": title_of(self.claims), **more}
