"""What a request carries: the few headers the edge reads, and its token out of three carriers."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.edge.refusals import Refusal

#: Cookie names: the token (RFC 9246), and the device a browser calls itself by.
TOKEN_COOKIE, DEVICE_COOKIE = b"URISigningPackage", b"usher_device"


class Asked:
    """The headers of one request; empty where there is none."""

    __slots__ = ("bearer", "cmcd", "cookies", "forwarded", "if_none_match", "if_range", "more", "origin", "range")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.range = self.if_range = self.if_none_match = self.origin = b""
        self.bearer: list[bytes] = []
        self.cookies: list[bytes] = []
        self.forwarded: list[str] = []
        self.cmcd: list[str] = []
        #: Headers that only a setting names.
        self.more: dict[bytes, bytes] = {}
        for name, value in headers:
            if name in _READ:
                self._take(name, value)

    def _take(self, name: bytes, value: bytes) -> None:
        match name:
            case b"range":
                self.range = value
            case b"if-range":
                self.if_range = value
            case b"if-none-match":
                self.if_none_match = value
            case b"origin":
                self.origin = value
            case b"cookie":
                self.cookies.append(value)
            case b"authorization":
                if value[:7].lower() == b"bearer ":
                    self.bearer.append(value[7:].strip())
            case b"x-forwarded-for":
                self.forwarded.append(value.decode("latin-1"))
            case b"cmcd-object" | b"cmcd-request" | b"cmcd-session" | b"cmcd-status":
                self.cmcd.append(value.decode("latin-1"))
            case _:
                self.more[name] = value

    def token(self, in_path: bytes) -> bytes:
        """The one token of the request. Raises Refusal where there is none, or carriers that differ."""
        if not self.bearer and not self.cookies and in_path:
            return in_path
        found = {*self.bearer, *self._cookie(TOKEN_COOKIE)}
        if in_path:
            found.add(in_path)
        if len(found) > 1:
            raise Refusal("carriers-differ")
        if not found:
            raise Refusal("token-missing")
        return found.pop()

    def device(self) -> str:
        """The device the browser calls itself by."""
        return next(iter(self._cookie(DEVICE_COOKIE)), b"").decode("latin-1")

    def country(self, header: bytes) -> str:
        """What a proxy says of the country, in the header it says it with."""
        return self.more[header].decode("latin-1") if header in self.more else ""

    def _cookie(self, name: bytes) -> list[bytes]:
        pairs = (pair.strip().partition(b"=") for line in self.cookies for pair in line.split(b";"))
        return [value for found, _, value in pairs if found == name]


_READ = {
    b"range",
    b"if-range",
    b"if-none-match",
    b"origin",
    b"cookie",
    b"authorization",
    b"x-forwarded-for",
    b"cmcd-object",
    b"cmcd-request",
    b"cmcd-session",
    b"cmcd-status",
}


def read_also(header: str) -> bytes:
    """Let requests keep one header more, whose name a setting gives; its name as requests carry it."""
    name = header.strip().lower().encode()
    if name:
        _READ.add(name)
    return name
