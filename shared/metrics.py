"""Every metric, declared once with its meaning; labels are bounded, never a session, user or title."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()


def _counter(name: str, meaning: str, labels: tuple[str, ...] = ()) -> Counter:
    return Counter(name, meaning, labels, registry=REGISTRY)


def _gauge(name: str, meaning: str, labels: tuple[str, ...] = ()) -> Gauge:
    return Gauge(name, meaning, labels, registry=REGISTRY)


def _histogram(name: str, meaning: str, buckets: tuple[float, ...], *, labels: tuple[str, ...] = ()) -> Histogram:
    return Histogram(name, meaning, labels, registry=REGISTRY, buckets=buckets)


SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# control
HTTP_SECONDS = _histogram(
    "usher_http_seconds", "time control took to answer, by route and status class", SECONDS, labels=("route", "status")
)
LIMITED = _counter("usher_limited_total", "requests refused by a rate limit, by route", ("route",))
LIMITS_OPEN = _counter("usher_limits_open_total", "requests let through because Redis did not answer the rate limit")
ERRORS = _counter("usher_errors_total", "errors nobody expected, by place", ("place",))

# worker
OUTBOX_RELAYED = _counter("usher_outbox_relayed_total", "outbox rows relayed, by topic", ("topic",))
OUTBOX_WAITING = _gauge("usher_outbox_waiting", "outbox rows not yet relayed")
JOBS = _gauge("usher_jobs", "transcode jobs by state", ("state",))
REENQUEUED = _counter("usher_jobs_reenqueued_total", "pieces of work the reaper sent again", ("task",))

# edge: counted in plain ints on the hot path, set at scrape
EDGE_REQUESTS = _gauge("usher_edge_requests", "requests since start, by kind and status", ("kind", "status"))
EDGE_BYTES = _gauge("usher_edge_bytes", "body bytes handed to clients since start")
EDGE_CACHE = _gauge("usher_edge_cache", "cache lookups since start, by outcome", ("outcome",))
EDGE_CACHE_BYTES = _gauge("usher_edge_cache_bytes", "bytes held in RAM")
EDGE_SEATS = _gauge("usher_edge_sessions", "sessions this edge serves now")
EDGE_REFUSED = _gauge("usher_edge_refused", "refusals since start, by reason", ("reason",))
EDGE_ACTIVITY = _gauge("usher_edge_activity", "signs of life of seated sessions since start, by source", ("source",))
EDGE_EVENTS_LOST = _gauge("usher_edge_events_lost", "events dropped since start because Redis was away too long")
EDGE_KEYS_AGE = _gauge("usher_edge_keys_age_seconds", "age of the key set")
EDGE_REDIS_UP = _gauge("usher_edge_redis_up", "1 while Redis answers the edge")

# farm
FARM_CHUNKS = _counter("usher_farm_chunks_total", "chunk attempts by outcome", ("outcome",))
FARM_SECONDS = _histogram(
    "usher_farm_chunk_seconds", "wall time of one chunk", (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
)
