"""The contract of the bucket, held by every back end."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Coroutine
from pathlib import Path

import pytest

from shared.errors import Invalid, Misconfigured, NotFound
from shared.settings import Common
from shared.storage import Bucket, Part, open_bucket
from shared.storage.s3 import PIECE_BYTES, S3Bucket
from tests.support import s3 as servers
from tests.support.buckets import file_names, keys

BAD_KEYS = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    "..",
    "../a",
    "a/../b",
    "a/./b",
    ".multipart/a",
    "a/.tmp",
    "a\\b",
    "a\0b",
    "a b",
]
BAD_KEYS += ["a\nb", "é", "%2e%2e/a", "x" * 201, "/".join(["x" * 100] * 10), "a/b\n"]


# Whole objects


async def test_put_is_read_back_with_its_info(bucket: Bucket) -> None:
    put = await bucket.put("v/ttl_1/a/index.m3u8", b"#EXTM3U\n", content_type="application/vnd.apple.mpegurl")
    assert await bucket.get("v/ttl_1/a/index.m3u8") == b"#EXTM3U\n"
    assert await bucket.head("v/ttl_1/a/index.m3u8") == put
    assert (put.key, put.size_bytes, put.content_type) == ("v/ttl_1/a/index.m3u8", 8, "application/vnd.apple.mpegurl")
    assert put.etag and '"' not in put.etag


async def test_put_replaces_and_changes_the_etag(bucket: Bucket) -> None:
    first = await bucket.put("a", b"one")
    second = await bucket.put("a", b"two")
    assert await bucket.get("a") == b"two"
    assert first.etag != second.etag
    assert (await bucket.head("a")) == second


async def test_an_empty_object_is_an_object(bucket: Bucket) -> None:
    await bucket.put("empty", b"")
    info = await bucket.head("empty")
    assert info is not None and info.size_bytes == 0
    assert await bucket.get("empty") == await bucket.get("empty", start=0, length=10) == b""


async def test_reading_what_is_not_there_says_not_found(bucket: Bucket, tmp_path: Path) -> None:
    await bucket.put("a/b", b"1")
    for key in ("nothing", "a", "a/b/c"):
        assert await bucket.head(key) is None
        with pytest.raises(NotFound):
            await bucket.get(key)
        with pytest.raises(NotFound):
            await bucket.copy(key, "target")
        with pytest.raises(NotFound):
            await bucket.fetch(key, tmp_path / "local")
    assert await bucket.head("target") is None
    assert not (tmp_path / "local").exists()


def every_call(bucket: Bucket, key: str, local: Path) -> list[Coroutine[None, None, object]]:
    part = Part(number=1, etag="e", size_bytes=1)
    return [
        bucket.put(key, b"x"),
        bucket.put_if_absent(key, b"x"),
        bucket.put_file(key, local),
        bucket.get(key),
        bucket.fetch(key, local),
        bucket.head(key),
        bucket.copy(key, "a"),
        bucket.copy("a", key),
        bucket.delete(["a", key]),
        bucket.multipart_begin(key),
        bucket.multipart_put(key, "u", number=1, data=b"x"),
        bucket.multipart_parts(key, "u"),
        bucket.multipart_complete(key, "u", [part]),
        bucket.multipart_abort(key, "u"),
        bucket.presign_get(key, ttl_s=1),
    ]


async def test_a_key_of_wrong_form_is_invalid_everywhere(bucket: Bucket, tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.write_bytes(b"x")
    await bucket.put("a", b"kept")
    for key in BAD_KEYS:
        for call in every_call(bucket, key, local):
            with pytest.raises(Invalid):
                await call
    assert await keys(bucket) == ["a"]
    assert local.read_bytes() == b"x"


async def test_copy_replaces_the_target_and_leaves_the_source(bucket: Bucket) -> None:
    await bucket.put("from/a.jpg", b"picture", content_type="image/jpeg")
    await bucket.put("to/b.jpg", b"old")
    for _ in range(2):
        await bucket.copy("from/a.jpg", "to/b.jpg")
    await bucket.put("from/a.jpg", b"changed")
    assert await bucket.get("to/b.jpg") == b"picture"
    info = await bucket.head("to/b.jpg")
    assert info is not None and info.content_type == "image/jpeg"


async def test_delete_takes_away_and_forgives_what_is_absent(bucket: Bucket) -> None:
    await bucket.put("a/b/c", b"1")
    await bucket.put("a/d", b"2")
    await bucket.delete(["a/b/c", "a/b", "nothing/at/all"])
    await bucket.delete([])
    assert await keys(bucket) == ["a/d"]
    await bucket.put("a/b/c", b"again")
    assert await bucket.get("a/b/c") == b"again"


async def test_delete_of_more_than_one_batch_leaves_nothing(bucket: Bucket) -> None:
    names = [f"many/{n}" for n in range(1001)]
    for start in range(0, len(names), 100):
        await asyncio.gather(*(bucket.put(name, b"x") for name in names[start : start + 100]))
    assert await keys(bucket, "many/") == sorted(names)  # more than one page, too
    await bucket.delete(names)
    assert await keys(bucket) == []


async def test_list_goes_in_key_order_and_only_by_prefix(bucket: Bucket) -> None:
    names = ["a", "b-c", "b.c", "b/c", "b/c-d", "b/d/e", "bb", "c/a", "v/1/x", "v/10/x"]
    for name in reversed(names):
        await bucket.put(name, name.encode())
    assert await keys(bucket) == sorted(names)
    assert await keys(bucket, "b/") == ["b/c", "b/c-d", "b/d/e"]
    assert await keys(bucket, "b") == ["b-c", "b.c", "b/c", "b/c-d", "b/d/e", "bb"]
    assert await keys(bucket, "b/c") == ["b/c", "b/c-d"]
    assert await keys(bucket, "v/1/") == ["v/1/x"]
    assert await keys(bucket, "nothing/") == []
    sizes = {info.key: info.size_bytes async for info in bucket.list_prefix("b/")}
    assert sizes == {"b/c": 3, "b/c-d": 5, "b/d/e": 5}


async def test_list_refuses_a_prefix_of_wrong_form(bucket: Bucket) -> None:
    for prefix in ("/", "../", ".multipart/", "a/../b", "a//"):
        with pytest.raises(Invalid):
            await keys(bucket, prefix)


# Conditional create


async def test_puts_side_by_side_into_a_new_folder_all_land(bucket: Bucket) -> None:
    for folder in range(40):
        await asyncio.gather(*(bucket.put(f"work/{folder}/a/b/c/{number}", b"x") for number in range(8)))

    assert len([info async for info in bucket.list_prefix("work/")]) == 40 * 8


async def test_put_if_absent_creates_once(bucket: Bucket) -> None:
    assert await bucket.put_if_absent("work/1/done.json", b"first") is True
    assert await bucket.put_if_absent("work/1/done.json", b"second") is False
    assert await bucket.get("work/1/done.json") == b"first"
    await bucket.delete(["work/1/done.json"])
    assert await bucket.put_if_absent("work/1/done.json", b"third") is True


async def test_put_if_absent_has_one_winner_of_sixteen_racers(bucket: Bucket) -> None:
    for race in range(8):
        key = f"work/{race}/done.json"
        won = await asyncio.gather(*(bucket.put_if_absent(key, f"racer {n}".encode()) for n in range(16)))
        assert won.count(True) == 1
        assert await bucket.get(key) == f"racer {won.index(True)}".encode()


async def test_check_passes_and_leaves_nothing(bucket: Bucket) -> None:
    await bucket.check()
    await bucket.check()
    assert await keys(bucket) == []


# Ranges


async def assert_ranges(bucket: Bucket) -> None:
    await bucket.put("media", bytes(range(100)))
    assert await bucket.get("media", start=10, length=5) == bytes(range(10, 15))
    assert await bucket.get("media", start=90) == bytes(range(90, 100))
    assert await bucket.get("media", start=90, length=50) == bytes(range(90, 100))
    assert await bucket.get("media", start=0, length=1) == b"\0"
    assert await bucket.get("media", start=99, length=1) == b"\x63"
    assert await bucket.get("media", start=5, length=0) == b""
    for start, length in ((100, None), (100, 1), (1000, 5), (-1, 5), (0, -1), (100, 0)):
        with pytest.raises(Invalid):
            await bucket.get("media", start=start, length=length)


async def test_get_reads_ranges(bucket: Bucket) -> None:
    await assert_ranges(bucket)


async def test_get_reads_ranges_on_each_s3_server(ranged: Bucket) -> None:
    await assert_ranges(ranged)


# Files


async def test_a_big_file_goes_up_and_comes_down_whole(bucket: Bucket, tmp_path: Path) -> None:
    up, down = tmp_path / "up", tmp_path / "down"
    block = secrets.token_bytes(1 << 20)
    with up.open("wb") as file:
        for n in range(2 * PIECE_BYTES // len(block) + 1):
            file.write(n.to_bytes(4) + block)
    info = await bucket.put_file("masters/ttl_1/upl_1", up)
    assert info.size_bytes == up.stat().st_size > 2 * PIECE_BYTES
    fetched = await bucket.fetch("masters/ttl_1/upl_1", down)
    assert fetched.size_bytes == info.size_bytes
    assert hashlib.sha256(down.read_bytes()).digest() == hashlib.sha256(up.read_bytes()).digest()
    assert file_names(tmp_path) == ["down", "up"]


async def test_fetch_replaces_the_local_file(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "local").write_bytes(b"something longer that was here before")
    await bucket.put("a", b"new")
    await bucket.fetch("a", tmp_path / "local")
    await bucket.put("a", b"newer")
    assert (tmp_path / "local").read_bytes() == b"new"


async def test_put_file_takes_the_bytes_of_now(bucket: Bucket, tmp_path: Path) -> None:
    local = tmp_path / "local"
    local.write_bytes(b"then")
    await bucket.put_file("a", local)
    local.write_bytes(b"later")
    assert await bucket.get("a") == b"then"


# Whole or not at all


async def test_a_reader_sees_the_old_or_the_new_object(bucket: Bucket) -> None:
    old, new = b"a" * 400_000, b"b" * 500_000
    await bucket.put("a", old)
    writes = asyncio.gather(*(bucket.put("a", data) for data in (new, old) * 10))
    while not writes.done():
        assert await bucket.get("a") in (old, new)
        await asyncio.sleep(0)
    await writes


async def test_writers_and_deleters_of_one_folder_do_not_disturb_each_other(bucket: Bucket) -> None:
    async def come_and_go(name: str) -> None:
        for _ in range(20):
            await bucket.put(f"deep/er/{name}", b"x")
            await bucket.delete([f"deep/er/{name}"])

    await asyncio.gather(*(come_and_go(str(n)) for n in range(8)), bucket.put("deep/er/kept", b"kept"))
    assert await keys(bucket) == ["deep/er/kept"]


# What a bucket is known by


async def test_only_s3_has_urls(bucket: Bucket) -> None:
    await bucket.put("a", b"1")
    assert (await bucket.presign_get("a", ttl_s=60) is not None) == isinstance(bucket, S3Bucket)


async def test_settings_name_the_bucket(moto: servers.S3Server, tmp_path: Path) -> None:
    folder = open_bucket(Common(bucket=str(tmp_path / "bucket")))
    await folder.put("a", b"1")
    assert (tmp_path / "bucket" / "a").read_bytes() == b"1"
    name = f"usher-{secrets.token_hex(8)}"
    await moto.make_bucket(name)
    on_s3 = open_bucket(
        Common(
            bucket=f"s3://{name}",
            s3_endpoint=moto.endpoint,
            s3_access_key=moto.access_key,
            s3_secret_key=moto.secret_key,
        )
    )
    await on_s3.check()
    await on_s3.close()


@pytest.mark.parametrize("name", ["s3://", "s3://x", "s3://name/prefix", "S3://name", "http://name", "file:///a"])
def test_a_bucket_of_no_known_form_stops_the_start(name: str) -> None:
    with pytest.raises(Misconfigured, match="USHER_BUCKET"):
        open_bucket(Common(bucket=name))


def test_half_a_pair_of_s3_keys_stops_the_start() -> None:
    with pytest.raises(Misconfigured, match="USHER_S3_SECRET_KEY"):
        open_bucket(Common(bucket="s3://name", s3_access_key="alone"))
