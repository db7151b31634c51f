"""What a request carries: the few headers the edge reads, and its token out of three carriers."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.edge.refusals import Refusal

#: Cookie names: the token (RFC 9246), and the device a browser calls itself by.
TOKEN_COOKIE, DEVICE_COOKIE = "URISigningPackage", "usher_device"


class Asked:
    """The headers of one request; empty where there is none."""

    __slots__ = ("bearer", "cookies", "forwarded", "if_none_match", "if_range", "origin", "range")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.range = self.if_range = self.if_none_match = self.origin = b""
        self.bearer: list[str] = []
        self.cookies: list[str] = []
        self.forwarded: list[str] = []
        for name, value in headers:
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
                    self.cookies.append(value.decode("latin-1"))
                case b"authorization":
                    if value[:7].lower() == b"bearer ":
                        self.bearer.append(value[7:].decode("latin-1").strip())
                case b"x-forwarded-for":
                    self.forwarded.append(value.decode("latin-1"))

    def token(self, in_path: str) -> str:
        """The one token of the request. Raises Refusal where there is none, or carriers that differ."""
        if not self.bearer and not self.cookies:
            if not in_path:
                raise Refusal("token-missing")
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
        return next(iter(self._cookie(DEVICE_COOKIE)), "")

    def _cookie(self, name: str) -> list[str]:
        pairs = (pair.strip().partition("=") for line in self.cookies for pair in line.split(";"))
        return [value for found, _, value in pairs if found == name]
