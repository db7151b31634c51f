"""What the S3 store alone has: a server that may lack something, keys, presigned URLs."""

from __future__ import annotations

import asyncio
import secrets
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from shared.errors import Misconfigured, StoreUnavailable
from shared.storage.s3 import S3Bucket
from tests.support import s3 as servers
from tests.support.buckets import keys, on_server


async def test_check_refuses_a_server_without_conditional_put(nanio: servers.S3Server) -> None:
    bucket = await on_server(nanio)
    with pytest.raises(Misconfigured, match="If-None-Match") as refused:
        await bucket.check()
    assert refused.value.code == "no-conditional-put"
    assert await keys(bucket) == []
    await bucket.close()


async def test_check_names_a_wrong_secret(nanio: servers.S3Server) -> None:
    bucket = await on_server(nanio, secret_key="not-the-secret-of-this-server")
    with pytest.raises(Misconfigured, match="USHER_S3_SECRET_KEY"):
        await bucket.check()
    await bucket.close()


async def test_check_names_a_bucket_that_does_not_exist(moto: servers.S3Server) -> None:
    bucket = S3Bucket("no-such-bucket", endpoint=moto.endpoint, access_key="k" * 16, secret_key="s" * 16)
    with pytest.raises(Misconfigured, match="no such bucket"):
        await bucket.check()
    await bucket.close()


async def test_a_server_that_is_gone_is_a_store_that_did_not_answer(tmp_path: Path) -> None:
    with servers.moto(tmp_path) as server:
        await server.make_bucket("usher")
        keys_of = {"access_key": server.access_key, "secret_key": server.secret_key}
        bucket = S3Bucket("usher", endpoint=server.endpoint, tries=1, **keys_of)
        await bucket.put("a", b"1")
    calls = (bucket.get("a"), bucket.put("a", b"2"), bucket.put_if_absent("b", b"2"), bucket.head("a"), bucket.check())
    for call in calls:
        with pytest.raises(StoreUnavailable):
            await call
    await bucket.close()


async def test_a_presigned_url_reads_until_it_is_changed_or_expires(nanio: servers.S3Server) -> None:
    bucket = await on_server(nanio)
    await bucket.put("v/1/poster.jpg", b"picture")
    url = await bucket.presign_get("v/1/poster.jpg", ttl_s=60)
    assert url is not None
    assert await asyncio.to_thread(fetched, url) == (200, b"picture")
    assert (await asyncio.to_thread(fetched, url.replace("poster", "coster")))[0] == 403
    assert (await asyncio.to_thread(fetched, url.split("?")[0]))[0] == 403
    short = await bucket.presign_get("v/1/poster.jpg", ttl_s=1)
    assert short is not None
    assert await asyncio.to_thread(becomes, short, 403, within_s=60)
    await bucket.close()


def becomes(url: str, status: int, *, within_s: float) -> bool:
    """Whether a URL answers `status` before the deadline."""
    deadline = time.monotonic() + within_s
    while fetched(url)[0] != status:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def fetched(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - a test server's own URL
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, b""


def test_one_s3_bucket_serves_loop_after_loop(moto: servers.S3Server) -> None:
    name = f"usher-{secrets.token_hex(8)}"
    bucket = S3Bucket(name, endpoint=moto.endpoint, access_key=moto.access_key, secret_key=moto.secret_key)

    async def round_trip(n: int) -> bytes:
        await bucket.put("a", str(n).encode())
        try:
            return await bucket.get("a")
        finally:
            await bucket.close()

    asyncio.run(moto.make_bucket(name))
    assert [asyncio.run(round_trip(n)) for n in range(3)] == [b"0", b"1", b"2"]
