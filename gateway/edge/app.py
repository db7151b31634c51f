"""The edge as an ASGI application: one prefix test sends media to the raw handler and the rest to Starlette."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gateway.edge import resolve, wiring
from gateway.edge.bodies import Receive, Send
from gateway.edge.sockets import bound_queues
from shared import log
from shared.settings import EdgeSettings, load
from shared.tasks import end

#: Objects made until the young ones are looked at.
GC_YOUNG = 50_000
_PREFIXES = tuple(prefix.decode() for prefix in resolve.PREFIXES)


class Application:
    """The outermost callable."""

    def __init__(self, settings: EdgeSettings, *, now: Callable[[], float], tick: Callable[[], float]) -> None:
        self._settings, self._now, self._tick = settings, now, tick
        self.edge: wiring.Edge | None = None
        #: What is not playback.
        self.rest = Starlette(routes=[Route("/healthz", _healthz)], lifespan=self._lifespan)

    def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> Awaitable[None]:
        """The handler at work, handed on as it is: a coroutine around it would cost each request some more."""
        if scope["type"] == "http" and self.edge is not None and scope["path"].startswith(_PREFIXES):
            return self.edge.playback(scope, receive, send)
        return self.rest(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[wiring.Edge]:
        """The edge at work; it ends with its tasks and connections."""
        async with wiring.running(self._settings, now=self._now, tick=self._tick) as edge:
            self.edge = edge
            try:
                yield edge
            finally:
                self.edge = None

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        async with self.running():
            # The listening socket is granian's own, which does not show it.
            bounding = asyncio.create_task(bound_queues(self._settings.listen_port))
            try:
                yield
            finally:
                await end(bounding)


def create_app(
    settings: EdgeSettings | None = None,
    *,
    now: Callable[[], float] = time.time,
    tick: Callable[[], float] = time.monotonic,
) -> Application:
    """What `http1` serves, and granian (`--factory`). Without `settings` they are read from the environment."""
    if settings is None:
        settings = load(EdgeSettings)
        log.set_up(settings, "edge")
        # What is imported stays: a collection that looks at all of it stops the loop for 20 ms and more.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_YOUNG, 20, 100)
    return Application(settings, now=now, tick=tick)


async def _healthz(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok\n")
