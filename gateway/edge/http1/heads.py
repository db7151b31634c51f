"""Heads of answers as bytes, and answers to what is no request."""

from __future__ import annotations

import email.utils
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

import msgspec

Header = tuple[bytes, bytes]

_LINES: Final[dict[int, bytes]] = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus
}
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE: Final[Header] = (b"connection", b"close")


def line(status: int) -> bytes:
    """The status line."""
    return _LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def fields(headers: Iterable[Header]) -> bytes:
    """Header fields, a line each."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def date(now: float) -> bytes:
    """The Date field of this second."""
    return b"date: %b\r\n" % email.utils.formatdate(now, usegmt=True).encode()


def refusal(status: int, words: str, *, dated: bytes) -> bytes:
    """A whole answer to what is no request, with an RFC 9457 body; the connection ends with it."""
    title = HTTPStatus(status).phrase
    body = msgspec.json.encode({"type": "about:blank", "title": title, "status": status, "detail": words})
    headers = (
        (b"content-type", b"application/problem+json"),
        (b"cache-control", b"no-store"),
        (b"content-length", b"%d" % len(body)),
        CLOSE,
    )
    return line(status) + dated + fields(headers) + b"\r\n" + body
