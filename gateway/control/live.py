"""Server-sent events: a value whenever it changes, for as long as somebody listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import msgspec
from starlette.responses import Response, StreamingResponse

from shared.errors import UsherError

#: Seconds between two looks, and between two signs of life on a stream where nothing changes.
LOOK_S, HEARTBEAT_S = 0.5, 15.0
#: A stream ends after this long; browsers come back by themselves, and their session is checked anew.
STREAM_S = 600.0
#: Milliseconds after which a browser comes back.
RETRY_MS = 2000

View = TypeVar("View")


def never(view: object) -> bool:
    """What has no last value."""
    return False


async def follow(
    event: str, read: Callable[[], Awaitable[View]], *, is_over: Callable[[View], bool] = never
) -> Response:
    """The answer that tells each value `read` gives, in events named so, until one `is_over`. Raises as `read`.

    The server ends it when the listener is gone. To ask whether they are would end it: where the loop is uvloop,
    granian takes a look that waits for nothing (`Request.is_disconnected`) for the end of the connection.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    parts = _parts(event, await read(), read, is_over=is_over)
    return StreamingResponse(parts, media_type="text/event-stream", headers=headers)


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
