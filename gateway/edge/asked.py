"""What a request carries: the few headers the edge reads, and its token out of three carriers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from gateway.edge.refusals import Refusal

#: Cookie names: the token (RFC 9246), and the device a browser calls itself by.
TOKEN_COOKIE, DEVICE_COOKIE = b"URISigningPackage", b"usher_device"


READ: Final = frozenset(
    (
        *(b"range", b"if-range", b"if-none-match", b"origin", b"cookie", b"authorization", b"x-forwarded-for"),
        *(b"cmcd-object", b"cmcd-request", b"cmcd-session", b"cmcd-status"),
    )
)


class Asked:
    """The headers of one request; empty where there is none. `read` may name one more: that of the country."""

    #: Whether it asks for more than the whole of what its path names.
    is_special = False
    range = if_range = if_none_match = origin = b""
    bearer: Sequence[bytes] = ()
    cookies: Sequence[bytes] = ()
    forwarded: Sequence[str] = ()
    cmcd: Sequence[str] = ()
    country = ""

    def __init__(self, headers: Iterable[tuple[bytes, bytes]], read: frozenset[bytes] = READ) -> None:
        for name, value in headers:
            if name in read:
                self._take(name, value)

    def _take(self, name: bytes, value: bytes) -> None:
        match name:
            case b"origin":
                self.origin = value
                return
            case b"x-forwarded-for":
                self.forwarded = [*self.forwarded, value.decode("latin-1")]
                return
            case b"range":
                self.range = value
            case b"if-range":
                self.if_range = value
            case b"if-none-match":
                self.if_none_match = value
            case b"cookie":
                self.cookies = [*self.cookies, value]
            case b"authorization":
                if value[:7].lower() == b"bearer ":
                    self.bearer = [*self.bearer, value[7:].strip()]
            case b"cmcd-object" | b"cmcd-request" | b"cmcd-session" | b"cmcd-status":
                self.cmcd = [*self.cmcd, value.decode("latin-1")]
            case _:
                self.country = value.decode("latin-1")
                return
        self.is_special = True

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

    def _cookie(self, name: bytes) -> list[bytes]:
        pairs = (pair.strip().partition(b"=") for line in self.cookies for pair in line.split(b";"))
        return [value for found, _, value in pairs if found == name]
