"""What the edge counts on its hot path: plain ints, handed to Prometheus when it asks."""

from __future__ import annotations

from collections import OrderedDict, defaultdict

from gateway.edge.refusals import TABLE
from shared import log, metrics
from shared.tokens import Claims

#: What a lookup in the cache may come to.
OUTCOMES = ("hit", "disk", "miss", "collapsed", "revalidated", "absent", "failed", "torn")
#: How a wait for what is being made may end.
ENDS = ("served", "over", "lost", "late", "left", "refused")
#: Sessions whose refusal is remembered, so that a player that asks again and again makes one line.
REMEMBERED = 10_000


class Counts:
    """Counters since the start. Written by the event loop alone, read by the scrape's thread."""

    def __init__(self) -> None:
        self.requests: defaultdict[tuple[str, int], int] = defaultdict(int)
        # From zero on: what first appears as one does not count as a rise.
        self.refused: defaultdict[str, int] = defaultdict(int, dict.fromkeys(TABLE, 0))
        self.cache: defaultdict[str, int] = defaultdict(int, dict.fromkeys(OUTCOMES, 0))
        self.activity: defaultdict[str, int] = defaultdict(int)
        self.bytes_sent = 0
        self.in_flight = 0
        self.events_lost = self.watch_lost = 0
        self.shared: defaultdict[str, int] = defaultdict(int)
        #: Requests that wait for what is being made, and how such waits ended.
        self.holds, self.held = 0, dict.fromkeys(ENDS, 0)

    def export(self, *, cache_bytes: int, sessions: int, keys_age_s: float, redis_up: bool) -> None:
        """Tell Prometheus. `dict(...)` first: a key may be added while this runs."""
        for (kind, status), count in dict(self.requests).items():
            metrics.EDGE_REQUESTS.labels(kind, str(status)).set(count)
        for code, count in dict(self.refused).items():
            metrics.EDGE_REFUSED.labels(code).set(count)
        for outcome, count in dict(self.cache).items():
            metrics.EDGE_CACHE.labels(outcome).set(count)
        for activity, count in dict(self.activity).items():
            metrics.EDGE_ACTIVITY.labels(activity).set(count)
        metrics.EDGE_BYTES.set(self.bytes_sent)
        metrics.EDGE_IN_FLIGHT.set(self.in_flight)
        metrics.EDGE_CACHE_BYTES.set(cache_bytes)
        metrics.EDGE_SEATS.set(sessions)
        metrics.EDGE_KEYS_AGE.set(keys_age_s)
        metrics.EDGE_REDIS_UP.set(int(redis_up))
        metrics.EDGE_EVENTS_LOST.set(self.events_lost)
        metrics.EDGE_WATCH_LOST.set(self.watch_lost)
        metrics.EDGE_HOLDS.set(self.holds)
        for outcome, count in self.held.items():
            metrics.EDGE_HELD.labels(outcome).set(count)
        for reason, count in dict(self.shared).items():
            metrics.EDGE_SHARED.labels(reason).set(count)


class RefusedSessions:
    """One log line for each session that is refused, and each reason; a request without a genuine token makes none."""

    def __init__(self) -> None:
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._log = log.get("edge")

    def tell(self, claims: Claims, code: str) -> None:
        """Log it, unless it was logged lately. Control knows by `sid` whose it was; no token is ever written."""
        if (claims.jti, code) in self._told:
            return
        self._told[claims.jti, code] = None
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        self._log.info("a session was refused", code=code, jti=claims.jti, sid=claims.sid, scope=claims.scope)
