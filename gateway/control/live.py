"""Server-sent events: a value whenever it changes, for as long as somebody listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Any, TypeVar, cast

import msgspec
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from shared.errors import TooMany, UsherError
from shared.metrics import LIMITED

#: Seconds between two looks, and between two signs of life on a stream where nothing changes.
LOOK_S, HEARTBEAT_S = 0.5, 15.0
#: A stream ends after this long; browsers come back by themselves, and their session is checked anew.
STREAM_S = 600.0
#: Milliseconds after which a browser comes back.
RETRY_MS = 2000
#: Streams that one person may have open in one process. A listener who is gone is noticed by the next sign of life.
MOST = 6

View = TypeVar("View")


def never(view: object) -> bool:
    """What has no last value."""
    return False


class Streams:
    """The streams of one process: how many each person has open, and one look for all of theirs at the same thing."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}
        self._looks: dict[tuple[str, str], _Look] = {}

    async def follow(
        self,
        event: str,
        read: Callable[[], Awaitable[View]],
        *,
        by: str,
        about: str,
        is_over: Callable[[View], bool] = never,
    ) -> Response:
        """The answer that tells each value `read` gives, in events named so, until one `is_over`. Raises as `read`.

        `by` is the principal's id; what it reads `about` the same thing is asked for once, however many of its streams
        tell it. Raises TooMany for one stream more than MOST.

        The server ends it when the listener is gone. To ask whether they are would end it: where the loop is uvloop,
        granian takes a look that waits for nothing (`Request.is_disconnected`) for the end of the connection.
        """
        if self._open.get(by, 0) >= MOST:
            LIMITED.labels("streams").inc()
            words = f"You follow {MOST} things at once already; close a page that does."
            raise TooMany(words, retry_after_s=int(HEARTBEAT_S))
        look = self._begin(by, about)
        leave = partial(self._end, by, about)
        try:
            parts = _parts(event, await look.anew(read), partial(look.now, read), is_over=is_over)
        except BaseException:
            leave()
            raise
        return _Stream(parts, leave)

    def _begin(self, by: str, about: str) -> _Look:
        self._open[by] = self._open.get(by, 0) + 1
        look = self._looks.setdefault((by, about), _Look())
        look.streams += 1
        return look

    def _end(self, by: str, about: str) -> None:
        self._open[by] -= 1
        if not self._open[by]:
            del self._open[by]
        look = self._looks[by, about]
        look.streams -= 1
        if not look.streams:
            del self._looks[by, about]


class _Look:
    """What was read last, for all streams that tell it; whoever comes first when it is LOOK_S old reads it anew."""

    def __init__(self) -> None:
        self.streams = 0
        self._lock, self._value, self._at = asyncio.Lock(), cast(Any, None), 0.0

    async def anew(self, read: Callable[[], Awaitable[Any]]) -> Any:
        """The value as it is. Raises as `read`."""
        async with self._lock:
            return await self._read(read)

    async def now(self, read: Callable[[], Awaitable[Any]]) -> Any:
        """The value as it was a moment ago at most. Raises as `read`."""
        async with self._lock:
            # Timers may be early by a little: who looks alone is not to wait for the look after.
            return self._value if monotonic() - self._at < 0.9 * LOOK_S else await self._read(read)

    async def _read(self, read: Callable[[], Awaitable[Any]]) -> Any:
        self._value, self._at = await read(), monotonic()
        return self._value


class _Stream(StreamingResponse):
    """An answer of events; `leave` is called once it ended, in whatever way."""

    def __init__(self, parts: AsyncIterator[bytes], leave: Callable[[], None]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(parts, media_type="text/event-stream", headers=headers)
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()


async def _parts(
    event: str, view: View, read: Callable[[], Awaitable[View]], *, is_over: Callable[[View], bool]
) -> AsyncIterator[bytes]:
    yield b"retry: %d\n\n" % RETRY_MS + _told(event, view)
    quiet_s = lived_s = 0.0
    while not is_over(view) and lived_s < STREAM_S:
        await asyncio.sleep(LOOK_S)
        quiet_s, lived_s = quiet_s + LOOK_S, lived_s + LOOK_S
        try:
            now = await read()
        except UsherError:  # the stream has begun, so no problem can be answered: the browser asks again
            return
        if now != view:
            view, quiet_s = now, 0.0
            yield _told(event, view)
        elif quiet_s >= HEARTBEAT_S:
            quiet_s = 0.0
            yield b": still here\n\n"


def _told(event: str, view: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event.encode(), msgspec.json.encode(view))
