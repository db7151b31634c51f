"""A session as one edge knows it: where it plays, what it was sent, and until when it is trusted."""

from __future__ import annotations

import asyncio
import math

from gateway.edge.delivered import Reel
from gateway.edge.places import Place
from gateway.edge.revocations import title_of
from gateway.edge.sharing import Evidence
from shared.seats import Verdict
from shared.tokens import Claims


class Session:
    """What this edge knows of one session. Times are the edge's own ticks."""

    __slots__ = (
        "active",
        "alt",
        "claims",
        "confirmed",
        "country",
        "due",
        "epoch",
        "evidence",
        "gone",
        "heard",
        "here",
        "is_over",
        "is_seated",
        "paced",
        "place",
        "reel",
        "reels",
        "refused",
        "renewal",
        "seen",
        "spread_until",
        "started",
        "told",
    )

    def __init__(self, claims: Claims, *, tick: float) -> None:
        self.claims, self.active = claims, tick
        #: The prefixes it plays at, one of each family, and the country, as Redis knows them.
        self.place = self.alt = self.country = ""
        #: The place that was let in last.
        self.here: Place | None = None
        #: When the last renewal that succeeded was sent: Redis holds the seat for a lease from then or longer, though
        #: never past the hard end that it was told of.
        self.confirmed = -math.inf
        #: When activity renews it next.
        self.due = -math.inf
        #: Why it is over for good, and the version of Revocations it was last held against.
        self.gone, self.seen = "", -1
        #: Whether bytes on their way must stop: it was revoked or taken over, or lost its seat.
        self.is_over = False
        self.started = self.refused = False
        #: Whether control was told of a start and not yet of a stop, and which memory of Redis that was in.
        self.is_seated, self.epoch = False, 0
        #: Titles of which the first media was told: a screen may go on to another title in one session.
        self.told: set[str] = set()
        self.renewal: asyncio.Future[Verdict | None] | None = None
        #: The tick up to which segment requests are spoken for.
        self.paced = -math.inf
        #: What it was sent, now and of each title and version.
        self.reel: Reel | None = None
        self.reels: dict[tuple[str, str], Reel] = {}
        self.evidence: Evidence | None = None
        #: Until when other edges may serve it too, and the newest of their reports that was heard.
        self.spread_until, self.heard = -math.inf, ""

    def data(self, **more: object) -> dict[str, object]:
        """What every event about it says."""
        return {"sid": self.claims.sid, "sub": self.claims.sub, "title": title_of(self.claims), **more}
