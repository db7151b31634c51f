"""Byte ranges and validators of RFC 9110: pure functions from header text and size to what to send."""

from __future__ import annotations

import re

_SINGLE = re.compile(rb"bytes[ \t]*=[ \t]*(\d{0,19})-(\d{0,19})[ \t]*\Z", re.IGNORECASE)


class Unsatisfiable(Exception):
    """The range is well formed and names no byte of the object: 416 (RFC 9110, 14.1.2)."""


def parse(header: bytes, size: int) -> tuple[int, int] | None:
    """The half-open range `[start, end)` that a Range header asks of `size` bytes; None: send the whole.

    Whole is what RFC 9110 14.2 allows for other units, malformed headers, and more than one range.
    """
    match = _SINGLE.match(header)
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        return _suffix(last, size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return start, min(int(last) + 1, size) if last else size


def _suffix(last: bytes, size: int) -> tuple[int, int] | None:
    if not last:
        return None
    if int(last) == 0 or size == 0:
        raise Unsatisfiable
    return max(0, size - int(last)), size


def same(if_range: bytes, etag: bytes) -> bool:
    """Whether If-Range still names this object: strong comparison; a date never does, since none is sent."""
    return if_range.strip() == etag and not etag.startswith(b"W/")


def matches(if_none_match: bytes, etag: bytes) -> bool:
    """Whether If-None-Match names this object: weak comparison over the list, or `*` (RFC 9110, 13.1.2)."""
    if if_none_match.strip() == b"*":
        return True
    bare = etag.removeprefix(b"W/")
    return any(tag.strip().removeprefix(b"W/") == bare for tag in if_none_match.split(b","))
