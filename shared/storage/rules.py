"""What every back end checks before it acts: the form of keys, ranges and part lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from shared.errors import Invalid
from shared.storage.base import PART_LAST, PART_MIN_BYTES, Part

#: Narrower than S3 allows, so that a key is also a path on any disk and a URL without escapes. A segment never
#: starts with a dot: the folder store keeps its own things in hidden folders.
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=+~-]{0,199}")
_KEY_MAX = 900


def check_key(key: str) -> str:
    """`key` itself. Raises Invalid when it is not 1-900 characters of plain segments joined by single slashes."""
    if len(key) > _KEY_MAX or not all(_SEGMENT.fullmatch(segment) for segment in key.split("/")):
        raise Invalid(f"{key[:80]!r} is no key: segments of A-Z a-z 0-9 _ . = + ~ - that do not start with a dot.")
    return key


def check_prefix(prefix: str) -> str:
    """`prefix` itself: nothing, a key, or the beginning of one."""
    if prefix:
        check_key(prefix[:-1] if prefix.endswith("/") else prefix)
    return prefix


def check_range(start: int, length: int | None) -> None:
    """Raises Invalid for a negative start or length."""
    if start < 0 or (length is not None and length < 0):
        raise Invalid("A range starts at 0 or later and has no negative length.")


def check_start(start: int, size_bytes: int) -> None:
    """Raises Invalid where a range begins past the end of an object."""
    if start and start >= size_bytes:
        raise Invalid(f"The range starts at {start} and the object ends at {size_bytes}.")


def check_part_number(number: int) -> int:
    """`number` itself. Raises Invalid outside 1-10000."""
    if not 1 <= number <= PART_LAST:
        raise Invalid(f"Part numbers go from 1 to {PART_LAST}, not {number}.")
    return number


def check_parts(parts: Sequence[Part], written: Sequence[Part]) -> None:
    """Raises Invalid unless `parts` ascend, were written as said, and only the last is small."""
    known = {part.number: part.etag for part in written}
    if not parts:
        raise Invalid("A multipart upload needs at least one part.")
    if any(a.number >= b.number for a, b in pairwise(parts)):
        raise Invalid("Parts are named in ascending order.")
    if any(known.get(part.number) != part.etag for part in parts):
        raise Invalid("A named part was never written, or was replaced since.")
    sizes = {part.number: part.size_bytes for part in written}
    if any(sizes[part.number] < PART_MIN_BYTES for part in parts[:-1]):
        raise Invalid(f"Every part but the last has at least {PART_MIN_BYTES} bytes.")
