"""The contract of uploads in parts, held by every back end."""

from __future__ import annotations

import contextlib
import secrets

import pytest

from shared.errors import Invalid, NotFound
from shared.storage import Bucket, Part
from shared.storage.base import PART_MIN_BYTES
from tests.support.buckets import keys


async def test_multipart_is_seen_only_when_complete(bucket: Bucket) -> None:
    upload = await bucket.multipart_begin("masters/1")
    big, small = secrets.token_bytes(PART_MIN_BYTES), b"the tail"
    second = await bucket.multipart_put("masters/1", upload, number=2, data=small)
    first = await bucket.multipart_put("masters/1", upload, number=1, data=big)
    assert await bucket.head("masters/1") is None and await keys(bucket) == []
    assert await bucket.multipart_parts("masters/1", upload) == [first, second]
    info = await bucket.multipart_complete("masters/1", upload, [first, second])
    assert info.size_bytes == len(big) + len(small)
    assert await bucket.get("masters/1") == big + small
    assert await bucket.get("masters/1", start=len(big) - 2, length=5) == big[-2:] + small[:3]
    assert await keys(bucket) == ["masters/1"]


async def test_multipart_goes_on_from_the_parts_listed(bucket: Bucket) -> None:
    upload = await bucket.multipart_begin("masters/1")
    pieces = [secrets.token_bytes(PART_MIN_BYTES), secrets.token_bytes(PART_MIN_BYTES + 1), b"end"]
    await bucket.multipart_put("masters/1", upload, number=1, data=b"a first try that broke off")
    for number, piece in enumerate(pieces[:2], start=1):
        await bucket.multipart_put("masters/1", upload, number=number, data=piece)
    # Whoever takes over knows key and upload id, and asks the store for the rest.
    parts = await bucket.multipart_parts("masters/1", upload)
    assert [(part.number, part.size_bytes) for part in parts] == [(1, PART_MIN_BYTES), (2, PART_MIN_BYTES + 1)]
    parts.append(await bucket.multipart_put("masters/1", upload, number=3, data=pieces[2]))
    await bucket.multipart_complete("masters/1", upload, parts)
    assert await bucket.get("masters/1") == b"".join(pieces)


async def test_an_aborted_multipart_leaves_nothing(ending: Bucket) -> None:
    upload = await ending.multipart_begin("masters/1")
    part = await ending.multipart_put("masters/1", upload, number=1, data=b"bytes")
    for _ in range(2):
        await ending.multipart_abort("masters/1", upload)
    for call in (
        ending.multipart_parts("masters/1", upload),
        ending.multipart_put("masters/1", upload, number=2, data=b"more"),
        ending.multipart_complete("masters/1", upload, [part]),
    ):
        with pytest.raises(NotFound):
            await call
    assert await ending.head("masters/1") is None


async def test_a_complete_multipart_is_over(ending: Bucket) -> None:
    upload = await ending.multipart_begin("masters/1")
    part = await ending.multipart_put("masters/1", upload, number=1, data=b"bytes")
    await ending.multipart_complete("masters/1", upload, [part])
    with contextlib.suppress(NotFound):
        await ending.multipart_complete("masters/1", upload, [part])
    await ending.multipart_abort("masters/1", upload)
    with pytest.raises(NotFound):
        await ending.multipart_parts("masters/1", upload)
    assert await ending.get("masters/1") == b"bytes"


async def test_multipart_refuses_wrong_parts(bucket: Bucket) -> None:
    upload = await bucket.multipart_begin("masters/1")
    small = await bucket.multipart_put("masters/1", upload, number=1, data=b"too small to be a first part")
    last = await bucket.multipart_put("masters/1", upload, number=2, data=b"last")
    wrong: list[list[Part]] = [
        [],
        [small, last],
        [last, small],
        [small, Part(number=3, etag=last.etag, size_bytes=4)],
        [Part(number=2, etag="0" * 32, size_bytes=4)],
    ]
    for parts in wrong:
        with pytest.raises(Invalid):
            await bucket.multipart_complete("masters/1", upload, parts)
    for number in (0, -1, 10_001):
        with pytest.raises(Invalid):
            await bucket.multipart_put("masters/1", upload, number=number, data=b"x")
    assert await bucket.head("masters/1") is None


async def test_a_multipart_that_never_began_is_not_found(ending: Bucket) -> None:
    for call in (
        ending.multipart_put("masters/1", "0" * 32, number=1, data=b"bytes"),
        ending.multipart_parts("masters/1", "0" * 32),
        ending.multipart_complete("masters/1", "0" * 32, [Part(number=1, etag="e", size_bytes=1)]),
    ):
        with pytest.raises(NotFound):
            await call
    await ending.multipart_abort("masters/1", "0" * 32)
