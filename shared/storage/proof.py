"""Proof that a store creates on condition: without it two workers could both win one chunk."""

from __future__ import annotations

import secrets

from shared.errors import Misconfigured
from shared.storage.base import Bucket


async def prove_conditional_create(bucket: Bucket) -> None:
    """Create a probe object twice. Raises Misconfigured when the second overwrites the first."""
    key = f"check/{secrets.token_hex(16)}"
    try:
        first = await bucket.put_if_absent(key, b"first")
        second = await bucket.put_if_absent(key, b"second")
        if not first or second or await bucket.get(key) != b"first":
            raise Misconfigured(
                "This bucket overwrites an object that was to be created only if absent, so two workers could publish "
                "the same chunk. Use a store that honours `If-None-Match: *` on PUT (AWS S3, MinIO, Ceph, R2), "
                "or a folder: USHER_BUCKET=/path/of/a/folder.",
                code="no-conditional-put",
            )
    finally:
        await bucket.delete([key])
