"""Headers that leave the edge, made once: of media by its kind, CORS, what the cache did, refusals as problems."""

from __future__ import annotations

from gateway.edge import resolve
from gateway.edge.cache import How
from gateway.edge.http1 import heads
from gateway.edge.http1.heads import Header
from gateway.edge.objects import Object
from gateway.edge.refusals import Refusal, problem
from gateway.edge.resolve import Target
from shared.network import Networks, within

#: Media never changes behind its name; a playlist asks again, so that a link that ended is noticed.
_CACHE_MEDIA, _CACHE_PLAYLIST = b"private, max-age=3600, immutable", b"private, no-cache"
#: RFC 9213: what a delivery network of ours may keep, which tells viewers apart itself.
_CACHE_CDN = (b"cdn-cache-control", b"public, max-age=31536000, immutable")
_RANGES: Header = (b"accept-ranges", b"bytes")
_ALWAYS: tuple[Header, ...] = (
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"timing-allow-origin", b"*"),
)
#: RFC 9211: what our cache did; and the same for pages (Server-Timing).
_CACHE_STATUS: dict[How, Header] = {
    "hit": (b"cache-status", b"usher; hit"),
    "disk": (b"cache-status", b"usher; hit; detail=disk"),
    "miss": (b"cache-status", b"usher; fwd=miss; stored"),
    "collapsed": (b"cache-status", b"usher; fwd=miss; collapsed"),
    "revalidated": (b"cache-status", b"usher; fwd=stale; fwd-status=304"),
}
_TIMING = b"server-timing"
_HIT_TIMING: Header = (_TIMING, b"cache;desc=hit")
NO_STORE: tuple[Header, ...] = ((b"cache-control", b"no-store"),)
_PROBLEM = (b"content-type", b"application/problem+json")
#: Refusals of these carry no body: players throw it away.
_SEGMENTS = (b".m4s", b".mp4", b".jpg", b".vtt")
#: What OPTIONS answers, cached by browsers for a day.
PREFLIGHT: tuple[Header, ...] = (
    (b"access-control-allow-methods", b"GET, HEAD, POST, OPTIONS"),
    (
        b"access-control-allow-headers",
        b"authorization, content-type, if-none-match, if-range, range, "
        b"cmcd-object, cmcd-request, cmcd-session, cmcd-status",
    ),
    (b"access-control-max-age", b"86400"),
)
_EXPOSED = (
    b"access-control-expose-headers",
    b"accept-ranges, cache-status, content-range, etag, retry-after, server-timing",
)


def _media_headers(extension: str, kind: str) -> tuple[Header, ...]:
    caching = _CACHE_PLAYLIST if extension == ".m3u8" else _CACHE_MEDIA
    return (
        (b"content-type", kind.encode()),
        _RANGES,
        (b"cache-control", caching),
        *_ALWAYS,
    )


_MEDIA = {extension: _media_headers(extension, kind) for extension, kind in resolve.TYPES.items()}


class Cors:
    """Which pages may read answers: `*`, or a list that also may send the cookie."""

    def __init__(self, origins: str) -> None:
        listed = [origin.strip().encode() for origin in origins.split(",") if origin.strip()]
        #: The same for everybody, or empty where it depends on who asks.
        self.fixed: tuple[Header, ...] = ((b"access-control-allow-origin", b"*"), _EXPOSED) if b"*" in listed else ()
        self._listed = frozenset(listed)

    def headers(self, origin: bytes) -> tuple[Header, ...]:
        """The headers for a page of `origin`."""
        if self.fixed:
            return self.fixed
        vary = (b"vary", b"origin")
        if origin not in self._listed:
            return (vary,)
        return (
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            vary,
            _EXPOSED,
        )


class Delivery:
    """The networks of a delivery network we trust to keep media; remembered by peer."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        #: Whether there is any; if not, nobody need look at the peer.
        self.is_used = bool(networks)
        self._known: dict[str, bool] = {}

    def headers(self, peer: str, target: Target, *, is_marked: bool) -> tuple[Header, ...]:
        """What tells it to keep this: never a playlist, never media that is watermarked for one viewer."""
        if not self._networks or is_marked or target.kind == "playlist" or not self._is_ours(peer):
            return ()
        return (_CACHE_CDN,)

    def _is_ours(self, peer: str) -> bool:
        if peer not in self._known:
            if len(self._known) > 1024:
                self._known.clear()
            self._known[peer] = within(peer, self._networks)
        return self._known[peer]


def whole(found: Object, target: Target, cors: Cors, *, for_page: bool) -> list[Header]:
    """The headers of a whole object out of RAM, made once and kept with it; not to be changed.

    Headers cost about 0.5 µs each: what only pages can read goes to pages alone.
    """
    if found.whole is None:
        kind, *more = _MEDIA[target.extension]
        tag, size = (b"etag", found.etag.encode()), (b"content-length", b"%d" % found.size)
        caching = _CACHE_PLAYLIST if target.kind == "playlist" else _CACHE_MEDIA
        plain = [kind, _RANGES, (b"cache-control", caching), _CACHE_STATUS["hit"], tag, cors.fixed[0], size]
        found.whole = plain, [kind, *more, _CACHE_STATUS["hit"], _HIT_TIMING, tag, *cors.fixed, size]
    return found.whole[for_page]


def fields(found: Object, target: Target, cors: Cors, *, for_page: bool) -> bytes:
    """The same as they go over the wire, with the empty line that ends a head."""
    if found.fields is None:
        plain, page = (whole(found, target, cors, for_page=one) for one in (False, True))
        found.fields = heads.fields(plain) + b"\r\n", heads.fields(page) + b"\r\n"
    return found.fields[for_page]


def media(target: Target, etag: str, how: How, *, timing: str = "") -> list[Header]:
    """Headers of an object that is served, besides its length and CORS."""
    told = (_TIMING, f"cache;desc={how}{timing}".encode())
    return [*_MEDIA[target.extension], _CACHE_STATUS[how], told, (b"etag", etag.encode())]


def refusal(refused: Refusal, *, raw_path: bytes) -> tuple[list[Header], bytes]:
    """Headers and body of a refusal: a problem on playlists and everything a page reads, nothing on segments."""
    headers: list[Header] = [*NO_STORE]
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
    return [*headers, *_ALWAYS, _PROBLEM], problem(refused)
