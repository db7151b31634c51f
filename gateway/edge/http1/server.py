"""The listening socket, the clock of all connections, and how an edge ends: answers first, within a bound."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import uvloop

from gateway.edge.app import Application
from gateway.edge.http1 import heads
from gateway.edge.http1.connection import Connection
from gateway.edge.playback import Playback
from gateway.edge.sockets import UNSENT_BYTES
from shared import log
from shared.errors import Misconfigured
from shared.settings import EdgeSettings
from shared.tasks import end

#: Seconds between two looks at all connections.
LOOK_S: Final = 1.0
#: What is on its way to an idle connection when the edge stops is still answered for so long.
LAST_S: Final = 0.1

Rest = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class House:
    """What all connections of one edge share. `tick` and `date` are of the last look, a second old at most."""

    def __init__(
        self,
        playback: Playback,
        rest: Rest,
        settings: EdgeSettings,
        *,
        now: Callable[[], float] = time.time,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        self.playback, self.rest = playback, rest
        self._now, self._clock = now, tick
        self._settings = settings
        self._connections: set[Connection] = set()
        #: Work for requests that could not be answered at once.
        self.tasks: set[asyncio.Task[None]] = set()
        self.is_stopping, self._empty = False, asyncio.Event()
        self.tick, self.date, self.ok = 0.0, b"", b""
        self.look()

    def look(self) -> None:
        """Tell the time, and end connections that keep a place for nothing."""
        self.tick = self._clock()
        self.date = heads.date(self._now())
        self.ok = heads.line(200) + self.date
        settings = self._settings
        for one in list(self._connections):
            for_s = self.tick - one.since
            if one.is_stuck:
                if for_s > settings.stall_s or one.is_over:
                    one.abort()
            elif one.is_reading_head:
                if for_s > settings.head_s:
                    one.refuse(408, "The head of this request did not come to its end.")
            elif one.is_idle and for_s > settings.keep_alive_s:
                one.close()

    def welcome(self, one: Connection) -> bool:
        """Whether there is room for one more connection; an idle one makes room where there is none."""
        full = len(self._connections) >= self._settings.connections
        if full:
            spare = (each for each in self._connections if each.is_idle and not each.is_stuck)
            idle = min(spare, key=lambda each: each.since, default=None)
            if idle is None:
                return False
            self._connections.discard(idle)
            idle.close()
        self._connections.add(one)
        self._empty.clear()
        return True

    def forget(self, one: Connection) -> None:
        """A connection is gone."""
        self._connections.discard(one)
        if not self._connections:
            self._empty.set()

    async def close(self) -> None:
        """Answer what was asked for, at most as long as the settings say, then hang up."""
        self.is_stopping = True
        await asyncio.sleep(LAST_S)
        for one in list(self._connections):
            one.close_soon()
        if self._connections:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.stop_s):
                    await self._empty.wait()
        for one in list(self._connections):
            one.abort()
        await end(*self.tasks)


def listening(settings: EdgeSettings) -> socket.socket:
    """A socket that listens where the settings say; connections inherit its bound on what the kernel queues for who
    does not read; `::` is every address of both families. Raises Misconfigured."""
    host, port = settings.listen_host, settings.listen_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()
    try:
        listener = socket.create_server((host, port), family=family, backlog=settings.connections, dualstack_ipv6=both)
    except OSError as error:
        raise Misconfigured(f"The edge cannot listen on {host}, port {port}: {error.strerror or error}.") from None
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    listener.setblocking(False)
    return listener


async def serve(application: Application, settings: EdgeSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stop.set)
    listener = listening(settings)
    async with application.running() as edge:
        house = House(edge.playback, application.rest, settings)
        server = await loop.create_server(lambda: Connection(house), sock=listener)
        looking = loop.create_task(_look(house))
        await stop.wait()
        server.close()
        await house.close()
        await end(looking)


async def _look(house: House) -> None:
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            house.look()
        except Exception:
            log.get("edge").exception("a look at all connections failed")


def run(application: Application, settings: EdgeSettings) -> None:
    """Serve on a loop of its own until a signal."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(application, settings))
