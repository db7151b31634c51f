"""What the edge is made of while it runs: connections, background work and the playback handler."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from redis.asyncio import Redis

from gateway.edge import links
from gateway.edge.cache import Cache
from gateway.edge.cmcd import Cmcd
from gateway.edge.counts import Counts
from gateway.edge.delivered import WatchTime
from gateway.edge.disk import Disk
from gateway.edge.failures import Failures
from gateway.edge.journal import Journal
from gateway.edge.keyring import Keyring
from gateway.edge.making import Making
from gateway.edge.origin import Origin, store_of
from gateway.edge.outlines import Outlines
from gateway.edge.places import Places
from gateway.edge.playback import Playback
from gateway.edge.pulse import Pulse
from gateway.edge.replies import Cors, Delivery
from gateway.edge.reports import Reports
from gateway.edge.revocations import Revocations
from gateway.edge.seats import REDIS_TIMEOUT_S, LocalSeats
from gateway.edge.verified import Verified
from gateway.edge.watch import Watch
from shared import ids, log, metrics, private
from shared.clock import SystemClock
from shared.flags import Flags
from shared.network import parse_networks
from shared.seats import Seats
from shared.settings import EdgeSettings
from shared.tasks import end

#: Connections to Redis that requests share; more wait for one.
CONNECTIONS = 32
SWEEP_S = 5.0


class Edge:
    """One running edge: its parts, and whether it should get new viewers."""

    def __init__(self, settings: EdgeSettings, *, now: Callable[[], float], tick: Callable[[], float]) -> None:
        self.settings, self.now, self.tick = settings, now, tick
        self.is_draining, self.pulse = False, Pulse()
        self.counts = Counts()
        self.redis, self.events = _link(settings.redis_url), _link(settings.events)
        self.keyring = Keyring(settings.jwks_url, settings.jwks_file, tick=tick)
        self.verified = Verified(self.keyring, _failures(settings, tick))
        self.keyring.on_drop = self.verified.forget
        self.journal = Journal(self.events, now=now, counts=self.counts)
        self.cmcd = Cmcd(Flags(self.redis, SystemClock()), edge=socket.gethostname())
        self.revocations = Revocations()
        self.places = Places(settings)
        self.watch_time = WatchTime(self.events, now=now, counts=self.counts)
        # Several edges may run on one host, and each must know which sessions the others serve too.
        name = f"{socket.gethostname()}-{ids.new_secret(4)}"
        self.seats = LocalSeats(
            Seats(self.redis, lease_s=settings.seat_lease_s, policy=settings.seats_policy),
            settings,
            revocations=self.revocations,
            journal=self.journal,
            counts=self.counts,
            edge=name,
            now=now,
            tick=tick,
            watch_time=self.watch_time,
            reports=Reports(self.redis, name),
        )
        self.watch = Watch(self.redis, self.seats, self.revocations, tick=tick)
        self.origin = Origin(store_of(settings), timeout_s=settings.origin_timeout_s, tick=tick)
        self.disk = _disk(settings, tick) if settings.cache_disk_bytes else None
        self.cache = Cache(self.origin, budget_bytes=settings.cache_ram_bytes, tick=tick, disk=self.disk)
        self.playback = Playback(
            self.verified,
            self.seats,
            self.cache,
            making=_making(self),
            cors=Cors(settings.cors_origins),
            delivery=Delivery(parse_networks(settings.cdn_networks, "USHER_CDN_NETWORKS")),
            counts=self.counts,
            places=self.places,
            country_header=settings.country_header,
            cmcd=self.cmcd,
            now=now,
            tick=tick,
            is_draining=lambda: self.is_draining,
        )

    def not_ready(self) -> str | None:
        """Why no new viewer should be sent here; None: they may come. Redis away is no reason: runners play on."""
        if self.is_draining:
            return "draining"
        if not self.keyring.keys:
            return "no keys known yet"
        # The server listens before the loop comes round.
        return None if self.pulse.beats else "starting"

    def collect(self) -> None:
        """Tell the counts to Prometheus."""
        metrics.EDGE_DRAINING.set(self.is_draining)
        metrics.EDGE_FILLS.set(self.cache.fills.in_flight)
        metrics.EDGE_BREAKER_OPEN.set(self.origin.breaker.state != "closed")
        if self.disk is not None:
            metrics.EDGE_DISK_BYTES.set(self.disk.bytes_held)
            for work, count in dict(self.disk.failures).items():
                metrics.EDGE_DISK_FAILURES.labels(work).set(count)
        self.counts.export(
            cache_bytes=self.cache.bytes_held,
            sessions=len(self.seats),
            keys_age_s=self.keyring.age_s(),
            redis_up=self.seats.is_redis_up() and self.watch.is_connected,
        )

    def drain(self) -> None:
        """Take no new connections from the balancer: not ready, and each answer closes its connection."""
        self.is_draining = True

    async def sweep(self) -> None:
        """Forget, for ever, what has ended."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self.seats.sweep()
            self.revocations.sweep(self.now())


@contextlib.asynccontextmanager
async def running(
    settings: EdgeSettings, *, now: Callable[[], float] = time.time, tick: Callable[[], float] = time.monotonic
) -> AsyncIterator[Edge]:
    """An edge that works: keys from disk at once, the rest in the background. Ends with its tasks and connections."""
    edge = Edge(settings, now=now, tick=tick)
    edge.keyring.load()
    work = [
        _outlive(edge.keyring.keep_fresh(settings.jwks_refresh_s)),
        _outlive(edge.watch.run()),
        _outlive(edge.journal.run()),
        _outlive(edge.sweep()),
        _outlive(edge.watch_time.run()),
        _outlive(edge.seats.endings.run()),
        _outlive(edge.seats.comparing.run()),
        *([_outlive(edge.disk.tend())] if edge.disk else []),
        _outlive(edge.pulse.watch()),
        _outlive(edge.cmcd.watch()),
    ]
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, edge.drain)
    stop = private.start(settings, ready=edge.not_ready, alive=edge.pulse.stopped, collect=edge.collect)
    try:
        yield edge
    finally:
        await asyncio.to_thread(stop)
        await end(*work)
        await edge.seats.finish()
        await edge.journal.flush()
        await edge.redis.aclose()
        await edge.events.aclose()
        await edge.cache.close()
        await edge.origin.close()


def _making(edge: Edge) -> Making:
    return Making(
        edge.cache,
        Outlines(edge.origin, tick=edge.tick),
        edge.settings,
        redis=edge.events,
        insist=edge.seats.insist,
        counts=edge.counts,
        now=edge.now,
        tick=edge.tick,
    )


def _failures(settings: EdgeSettings, tick: Callable[[], float]) -> Failures:
    return Failures(tick=tick, per_address=settings.forged_per_address, total=settings.forged_in_total)


def _outlive(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that must not end by itself; when it does, that is logged, for the edge would go deaf or blind."""
    task = asyncio.create_task(work)

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.get("edge").error("background work ended", words=repr(error))

    task.add_done_callback(ended)
    return task


def _disk(settings: EdgeSettings, tick: Callable[[], float]) -> Disk:
    return Disk(settings.cache_disk_dir, budget_bytes=settings.cache_disk_bytes, tick=tick)


def _link(url: str) -> Redis:
    return links.client(url, connections=CONNECTIONS, timeout_s=REDIS_TIMEOUT_S)
