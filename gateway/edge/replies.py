"""What leaves the edge: headers made once, bodies in pieces, refusals as problems."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from gateway.edge import resolve
from gateway.edge.cache import How
from gateway.edge.refusals import Refusal, problem

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

#: Media never changes behind its name; a playlist asks again, so that a link that ended is noticed.
_CACHE_MEDIA, _CACHE_PLAYLIST = b"private, max-age=3600, immutable", b"private, no-cache"
_ALWAYS: tuple[Header, ...] = (
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"timing-allow-origin", b"*"),
)
#: RFC 9211: what our cache did.
_CACHE_STATUS: dict[How, Header] = {
    "hit": (b"cache-status", b"usher; hit"),
    "disk": (b"cache-status", b"usher; hit; detail=disk"),
    "miss": (b"cache-status", b"usher; fwd=miss; stored"),
    "collapsed": (b"cache-status", b"usher; fwd=miss; collapsed"),
    "revalidated": (b"cache-status", b"usher; fwd=stale"),
}
_PROBLEM = (b"content-type", b"application/problem+json")
#: Refusals of these carry no body when refused: players throw it away.
_SEGMENTS = (b".m4s", b".mp4", b".jpg", b".vtt")
#: What OPTIONS answers, cached by browsers for a day.
PREFLIGHT: tuple[Header, ...] = (
    (b"access-control-allow-methods", b"GET, HEAD, POST, OPTIONS"),
    (b"access-control-allow-headers", b"authorization, content-type, if-none-match, if-range, range"),
    (b"access-control-max-age", b"86400"),
)
_EXPOSED = (b"access-control-expose-headers", b"accept-ranges, cache-status, content-range, etag, retry-after")


def _media_headers(extension: str, kind: str) -> tuple[Header, ...]:
    caching = _CACHE_PLAYLIST if extension == ".m3u8" else _CACHE_MEDIA
    return (
        (b"content-type", kind.encode()),
        (b"accept-ranges", b"bytes"),
        (b"cache-control", caching),
        *_ALWAYS,
    )


_MEDIA = {extension: _media_headers(extension, kind) for extension, kind in resolve.TYPES.items()}


class Cors:
    """Which pages may read answers: `*`, or a list that also may send the cookie."""

    def __init__(self, origins: str) -> None:
        listed = [origin.strip().encode() for origin in origins.split(",") if origin.strip()]
        self._any = b"*" in listed
        self._listed = frozenset(listed)
        self._open: tuple[Header, ...] = ((b"access-control-allow-origin", b"*"), _EXPOSED)

    def headers(self, origin: bytes) -> tuple[Header, ...]:
        """The headers for a page of `origin`."""
        if self._any:
            return self._open
        vary = (b"vary", b"origin")
        if origin not in self._listed:
            return (vary,)
        return (
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            vary,
            _EXPOSED,
        )


def media(extension: str, etag: bytes, how: How) -> list[Header]:
    """Headers of an object that is served, besides its length and CORS."""
    return [*_MEDIA[extension], _CACHE_STATUS[how], (b"etag", etag)]


def refusal(refused: Refusal, *, raw_path: bytes) -> tuple[list[Header], bytes]:
    """Headers and body of a refusal: a problem on playlists and everything a page reads, nothing on segments."""
    headers: list[Header] = [(b"cache-control", b"no-store"), *_ALWAYS]
    if refused.retry_after_s:
        headers.append((b"retry-after", b"%d" % refused.retry_after_s))
    if refused.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="usher"'))
    if "allow" in refused.details:
        headers.append((b"allow", str(refused.details["allow"]).encode()))
    if refused.status == 416:
        headers.append((b"content-range", f"bytes */{refused.details['size']}".encode()))
    if raw_path.endswith(_SEGMENTS):
        return headers, b""
    return [*headers, _PROBLEM], problem(refused)


def cut(chunks: Sequence[bytes], start: int, end: int) -> list[bytes]:
    """The bytes `[start, end)` of a body in pieces; whole pieces are not copied."""
    taken, offset = [], 0
    for chunk in chunks:
        low, high = max(start - offset, 0), min(end - offset, len(chunk))
        if low < high:
            taken.append(chunk if high - low == len(chunk) else chunk[low:high])
        offset += len(chunk)
        if offset >= end:
            break
    return taken


async def send_body(chunks: Sequence[bytes], receive: Receive, send: Send) -> int:
    """Send pieces one after the other, and stop when the client is gone; the bytes handed over."""
    if len(chunks) < 2:
        body = chunks[0] if chunks else b""
        await send({"type": "http.response.body", "body": body})
        return len(body)
    # send() to a client that left never raises: only receive() tells.
    gone = asyncio.ensure_future(_disconnected(receive))
    sent, last = 0, len(chunks) - 1
    try:
        for number, chunk in enumerate(chunks):
            await send({"type": "http.response.body", "body": chunk, "more_body": number < last})
            sent += len(chunk)
            if gone.done():
                break
    finally:
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gone
    return sent


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
