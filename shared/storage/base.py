"""The bucket port: what control and farm ask of object storage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

#: Every part of a multipart upload but the last has at least this many bytes (S3's rule, held by all back ends).
PART_MIN_BYTES = 5 << 20
#: Part numbers end here.
PART_LAST = 10_000


class ObjectInfo(msgspec.Struct, frozen=True):
    """What the store knows of one object. `etag` is opaque, without quotes."""

    key: str
    size_bytes: int
    etag: str
    content_type: str = "application/octet-stream"


class Part(msgspec.Struct, frozen=True):
    """One uploaded part of a multipart upload; numbers start at 1."""

    number: int
    etag: str
    size_bytes: int


class Bucket(Protocol):
    """Object storage with conditional create. Keys are relative, `/`-separated, no `..`, no leading slash (rules.py).

    Every method raises `StoreUnavailable` when the store does not answer (after its own retries), `NotFound` for a
    missing key where a key is read, and `Invalid` for a key of wrong form. All are safe to repeat.
    """

    async def put(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> ObjectInfo:
        """Write the whole object; readers see the old or the new one, never a part."""
        ...

    async def put_if_absent(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> bool:
        """Create the object on condition that none exists: True for the one winner, False for all others."""
        ...

    async def put_file(self, key: str, path: Path, *, content_type: str = "application/octet-stream") -> ObjectInfo:
        """Write the object from a local file, in bounded memory."""
        ...

    async def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        """The bytes `[start, start+length)`; shorter where the object ends. `start` past the end: `Invalid`."""
        ...

    async def fetch(self, key: str, path: Path) -> ObjectInfo:
        """Copy the object to a local file (written beside and renamed), in bounded memory."""
        ...

    async def head(self, key: str) -> ObjectInfo | None:
        """The object's info, None when there is none."""
        ...

    def list_prefix(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, in key order."""
        ...

    async def copy(self, source: str, target: str) -> None:
        """Copy within the store, replacing `target`; objects up to 5 GiB."""
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete; a key that does not exist is no error."""
        ...

    async def multipart_begin(self, key: str, *, content_type: str = "application/octet-stream") -> str:
        """Start a multipart upload, return its id. Nothing is visible at `key` until `multipart_complete`."""
        ...

    async def multipart_put(self, key: str, upload: str, *, number: int, data: bytes) -> Part:
        """Write part `number` (from 1; ≥ 5 MiB but for the last), replacing an earlier one of that number."""
        ...

    async def multipart_parts(self, key: str, upload: str) -> list[Part]:
        """The parts written so far, by number. `NotFound` when the upload ended."""
        ...

    async def multipart_complete(self, key: str, upload: str, parts: Sequence[Part]) -> ObjectInfo:
        """Join the parts into the object at `key`. Once it ended, a repeat finds the same object or `NotFound`."""
        ...

    async def multipart_abort(self, key: str, upload: str) -> None:
        """Drop the upload and its parts; one that already ended is no error."""
        ...

    async def presign_get(self, key: str, *, ttl_s: int) -> str | None:
        """A URL anybody may GET for `ttl_s` seconds; None where the back end has no HTTP of its own."""
        ...

    async def check(self) -> None:
        """Prove that the store answers and that conditional create works; raises `Misconfigured` where it does not."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...
