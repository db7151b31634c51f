"""Every metric, declared once with its meaning; labels are bounded, never a session, user or title."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, Metric

REGISTRY = CollectorRegistry()
#: process_cpu_seconds_total, process_resident_memory_bytes, process_open_fds and the like.
ProcessCollector(registry=REGISTRY)


class Series(NamedTuple):
    """One series of a Total."""

    values: dict[tuple[str, ...], float]
    labels: tuple[str, ...]

    def set(self, value: float) -> None:
        """What was counted since the start."""
        self.values[self.labels] = value


class Total:
    """A counter that is counted elsewhere, in plain ints, and told as a whole before each scrape."""

    _type = "counter"

    def __init__(self, name: str, meaning: str, labels: tuple[str, ...] = (), *, zero: tuple[str, ...] = ()) -> None:
        self._name, self._documentation, self._labelnames = name.removesuffix("_total"), meaning, labels
        # From zero on: what first appears as one does not count as a rise.
        self._values: dict[tuple[str, ...], float] = {(value,): 0.0 for value in zero} if labels else {(): 0.0}
        REGISTRY.register(self)

    def labels(self, *values: str) -> Series:
        """One series, named by the values of the labels in their order."""
        return Series(self._values, values)

    def set(self, value: float) -> None:
        """What was counted since the start, where there are no labels."""
        self._values[()] = value

    def collect(self) -> Iterator[Metric]:
        """For the registry."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labelnames)
        for labels, value in dict(self._values).items():
            family.add_metric(labels, value)
        yield family


def _counter(name: str, meaning: str, labels: tuple[str, ...] = ()) -> Counter:
    return Counter(name, meaning, labels, registry=REGISTRY)


def _total(name: str, meaning: str, labels: tuple[str, ...] = (), *, zero: tuple[str, ...] = ()) -> Total:
    return Total(name, meaning, labels, zero=zero)


def _gauge(name: str, meaning: str, labels: tuple[str, ...] = ()) -> Gauge:
    return Gauge(name, meaning, labels, registry=REGISTRY)


def _histogram(name: str, meaning: str, buckets: tuple[float, ...], *, labels: tuple[str, ...] = ()) -> Histogram:
    return Histogram(name, meaning, labels, registry=REGISTRY, buckets=buckets)


LAGS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
WAITS = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0, 60.0)
BUFFERS = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0)
BITRATES = (1e5, 2.5e5, 5e5, 1e6, 2e6, 3e6, 5e6, 8e6, 12e6, 20e6, 50e6, 200e6)
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# control
HTTP_SECONDS = _histogram(
    "usher_http_seconds", "time control took to answer, by route and status class", SECONDS, labels=("route", "status")
)
LIMITED = _counter("usher_limited_total", "requests refused by a rate limit, by route", ("route",))
LIMITS_OPEN = _counter("usher_limits_open_total", "requests let through because Redis did not answer the rate limit")
ERRORS = _counter("usher_errors_total", "errors nobody expected, by place", ("place",))
REFUNDS_FAILED = _counter("usher_refunds_failed_total", "refunds that a payment provider will not do by itself")
RECON_DIFFERENCES = _gauge(
    "usher_recon_differences", "differences between books and providers in the last reconciliation, by kind", ("kind",)
)
RECON_AGE = _gauge("usher_recon_age_seconds", "since a reconciliation finished; 0 while the flag is off")
PAYOUTS_LATE = _gauge("usher_payouts_late", "withdrawals that were due two days ago and are not paid")
PAYOUTS_RETURNED = _counter("usher_payouts_returned_total", "withdrawals that a rail will not pay", ("rail",))
PROVIDER_EVENTS = _counter("usher_provider_events_total", "events of payment providers taken in", ("provider",))
PROVIDER_EVENTS_WAITING = _gauge("usher_provider_events_waiting", "events of payment providers not yet handled")
WEBHOOKS = _counter(
    "usher_webhooks_total", "tries to send a webhook, by outcome; dead: the last one of a delivery failed", ("outcome",)
)
WEBHOOKS_WAITING = _gauge("usher_webhooks_waiting", "webhooks that wait to be sent, or to be sent again")
MAIL = _counter("usher_mail_total", "tries to send a mail, by outcome; dead: it is not tried again", ("outcome",))
MAIL_WAITING = _gauge("usher_mail_waiting", "mails that wait to be sent, or to be sent again")
PROVIDER_FAILURES = _counter(
    "usher_provider_failures_total", "calls a payment provider did not answer, or refused as wrong", ("provider",)
)

# worker
OUTBOX_RELAYED = _counter("usher_outbox_relayed_total", "outbox rows relayed, by topic", ("topic",))
OUTBOX_WAITING = _gauge("usher_outbox_waiting", "outbox rows not yet relayed")
JOBS = _gauge("usher_jobs", "transcode jobs by state", ("state",))
REENQUEUED = _counter("usher_jobs_reenqueued_total", "pieces of work the reaper sent again", ("task",))
WATCHED_SECONDS = _counter("usher_watched_seconds_total", "seconds of titles that were new to their viewers")
WATCHED_UNKNOWN = _counter("usher_watched_unknown_total", "entries of watch time of no known viewer or version")
SHARED_LINKS = _counter("usher_shared_links_total", "sessions that edges took for links in many hands")

# edge: counted in plain ints on the hot path, told at scrape
EDGE_REQUESTS = _total("usher_edge_requests_total", "requests, by kind and status", ("kind", "status"))
EDGE_IN_FLIGHT = _gauge("usher_edge_in_flight", "requests being answered")
EDGE_BYTES = _total("usher_edge_sent_bytes_total", "body bytes handed to clients")
EDGE_CACHE = _total("usher_edge_cache_lookups_total", "cache lookups, by outcome", ("outcome",))
EDGE_CACHE_BYTES = _gauge("usher_edge_cache_bytes", "bytes held in RAM")
EDGE_DISK_BYTES = _gauge("usher_edge_disk_bytes", "bytes of objects on local disk")
EDGE_DISK_FAILURES = _total(
    "usher_edge_disk_failures_total",
    "failures of the disk tier, by work",
    ("work",),
    zero=("open", "read", "write", "verify"),
)
EDGE_FILLS = _gauge("usher_edge_fills", "objects being read from the bucket")
EDGE_BREAKER_OPEN = _gauge("usher_edge_breaker_open", "1 while the edge asks the bucket nothing because it fails")
EDGE_ORIGIN_SECONDS = _histogram(
    "usher_edge_origin_seconds", "one read of the bucket to its last byte, by outcome", SECONDS, labels=("outcome",)
)
EDGE_SEATS = _gauge("usher_edge_sessions", "sessions this edge serves now")
EDGE_REFUSED = _total("usher_edge_refused_total", "refusals, by reason", ("reason",))
EDGE_ACTIVITY = _total("usher_edge_activity_total", "signs of life of seated sessions, by source", ("source",))
EDGE_WATCH_LOST = _total("usher_edge_watch_lost_total", "sessions' watch time dropped because Redis was away too long")
EDGE_SHARED = _total(
    "usher_edge_shared_total",
    "sessions ended because they were shared, by reason",
    ("reason",),
    zero=("replayed", "interleaved", "hoarded"),
)
EDGE_HOLDS = _gauge("usher_edge_holds", "requests that wait for a segment that is being made")
EDGE_HELD = _total(
    "usher_edge_held_total",
    "requests that waited for a segment, by how that ended",
    ("outcome",),
    zero=("served", "over", "lost", "late", "left", "refused"),
)
EDGE_EVENTS_LOST = _total("usher_edge_events_lost_total", "events dropped because Redis was away too long")
EDGE_KEYS_AGE = _gauge("usher_edge_keys_age_seconds", "age of the key set")
EDGE_REDIS_UP = _gauge("usher_edge_redis_up", "1 while Redis answers the edge")
EDGE_DRAINING = _gauge("usher_edge_draining", "1 while the edge sends its clients away before it stops")
EDGE_LOOP_LAG = _histogram("usher_edge_loop_lag_seconds", "how late a timer rings in the event loop", LAGS)

# experience, as players tell it by CMCD
QOE_REPORTS = _counter("usher_qoe_reports_total", "CMCD reports, by version", ("version",))
QOE_STARTING = _counter(
    "usher_qoe_starting_total", "requests to start, seek or recover with, by object (su)", ("object",)
)
QOE_STALLS = _counter("usher_qoe_stalls_total", "requests after the buffer had run dry, by object (bs)", ("object",))
QOE_STARTUP = _histogram("usher_qoe_startup_seconds", "from the wish to play to the first picture (msd)", WAITS)
QOE_STALL = _histogram("usher_qoe_stall_seconds", "time the buffer was dry (bsd)", WAITS)
QOE_BUFFER = _histogram("usher_qoe_buffer_seconds", "media in the buffer (bl)", BUFFERS, labels=("object",))
QOE_BITRATE = _histogram("usher_qoe_bitrate_bps", "bitrate of what is fetched (br)", BITRATES, labels=("object",))
QOE_THROUGHPUT = _histogram("usher_qoe_throughput_bps", "throughput players measured (mtp)", BITRATES)
QOE_RATE = _histogram(
    "usher_qoe_rate", "playback rate, told where it is not 1 (pr)", (0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 4.0)
)

# farm
FARM_CHUNKS = _counter("usher_farm_chunks_total", "chunk attempts by outcome", ("outcome",))
FARM_SECONDS = _histogram(
    "usher_farm_chunk_seconds", "wall time of one chunk", (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
)
FARM_LOST = _counter(
    "usher_farm_lost_total", "attempts that ended without a word or were not the input's fault", ("why",)
)
FARM_REPLANS = _counter("usher_farm_replans_total", "versions planned anew for another encoder")
FARM_REFUSED = _counter("usher_farm_refused_total", "masters that were refused, by reason", ("code",))
FARM_SPEED = _gauge("usher_farm_speed", "multiple of real time of the chunk in work")
FARM_SCRATCH = _gauge("usher_farm_scratch_bytes", "bytes of chunks in work on the local disk")
FARM_SESSIONS = _gauge("usher_farm_nvenc_sessions", "NVENC sessions in use on this machine")
FARM_SESSIONS_CAP = _gauge("usher_farm_nvenc_sessions_cap", "NVENC sessions this machine gives at most, as learnt")
GPU_ENCODER = _gauge("usher_farm_gpu_encoder_percent", "how busy the encoder of a card is", ("gpu",))
GPU_DECODER = _gauge("usher_farm_gpu_decoder_percent", "how busy the decoder of a card is", ("gpu",))
GPU_MEMORY = _gauge("usher_farm_gpu_memory_free_bytes", "free memory of a card", ("gpu",))
GPU_CELSIUS = _gauge("usher_farm_gpu_celsius", "temperature of a card", ("gpu",))
# told by the worker of control; autoscaling goes by the sum of the first two
FARM_WAITING_S = _gauge("usher_farm_waiting_media_seconds", "seconds of titles that wait to be made", ("queue",))
FARM_RUNNING_S = _gauge("usher_farm_running_media_seconds", "seconds of titles that are being made", ("queue",))
FARM_WAITING = _gauge("usher_farm_waiting", "pieces of work that wait", ("queue",))
FARM_WORKERS = _gauge("usher_farm_workers", "farm workers that were heard of lately", ("queue",))
