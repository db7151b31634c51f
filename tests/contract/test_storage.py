"""The contract of the bucket, held by every back end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path

import pytest

from shared.errors import Invalid, Misconfigured, NotFound, StoreUnavailable
from shared.settings import Common
from shared.storage import Bucket, Part, open_bucket
from shared.storage.base import PART_MIN_BYTES
from shared.storage.files import LEFTOVER_S, FolderBucket
from shared.storage.memory import MemoryBucket
from shared.storage.s3 import PIECE_BYTES, S3Bucket
from tests.support import s3 as servers

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


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.S3Server]:
    with servers.moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="module")
def nanio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.S3Server]:
    with servers.nanio(tmp_path_factory.mktemp("nanio")) as server:
        yield server


async def on_server(server: servers.S3Server, *, secret_key: str = "") -> Bucket:
    """A fresh bucket on an S3 server."""
    name = f"usher-{secrets.token_hex(8)}"
    await server.make_bucket(name)
    return S3Bucket(
        name,
        endpoint=server.endpoint,
        region=server.region,
        access_key=server.access_key,
        secret_key=secret_key or server.secret_key,
    )


async def opened(request: pytest.FixtureRequest, folder: Path) -> Bucket:
    """The back end that a fixture's parameter names."""
    if request.param == "files":
        return FolderBucket(folder)
    if request.param == "memory":
        return MemoryBucket()
    return await on_server(request.getfixturevalue(request.param))


@pytest.fixture(params=["files", "memory", "moto"])
async def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bucket]:
    """Every back end that holds the whole contract."""
    made = await opened(request, tmp_path / "bucket")
    yield made
    await made.close()


@pytest.fixture(params=["files", "memory", "nanio"])
async def ending(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bucket]:
    """Every back end, with the S3 server that knows when a multipart upload is over: moto answers 500 to an abort."""
    made = await opened(request, tmp_path / "bucket")
    yield made
    await made.close()


@pytest.fixture(params=["moto", "nanio"])
async def ranged(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bucket]:
    """Both S3 servers, for the parts that each of them does right."""
    made = await opened(request, tmp_path / "bucket")
    yield made
    await made.close()


async def keys(bucket: Bucket, prefix: str = "") -> list[str]:
    return [info.key async for info in bucket.list_prefix(prefix)]


def file_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


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


# Multipart


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


async def test_a_folder_ties_a_multipart_to_its_key(tmp_path: Path) -> None:
    bucket = FolderBucket(tmp_path)
    upload = await bucket.multipart_begin("masters/1")
    for key, begun in (("masters/other", upload), ("masters/1", f"../.multipart/{upload}"), ("masters/1", "")):
        with pytest.raises(NotFound):
            await bucket.multipart_put(key, begun, number=1, data=b"bytes")
    await bucket.multipart_abort("masters/other", upload)
    assert await bucket.multipart_parts("masters/1", upload) == []


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


WRITER = """
import asyncio, pathlib, sys
from shared.storage.files import FolderBucket
from shared.storage.base import PART_MIN_BYTES
async def main():
    bucket = FolderBucket(pathlib.Path(sys.argv[1]))
    print("up", flush=True)
    for n in range(10 ** 9):
        letter = bytes([97 + n % 26])
        await bucket.put("whole/put", letter * 3_000_000)
        await bucket.put_if_absent(f"whole/once-{n}", letter * 300_000)
        upload = await bucket.multipart_begin("whole/parts")
        data = letter * PART_MIN_BYTES
        parts = [await bucket.multipart_put("whole/parts", upload, number=k, data=data) for k in (1, 2)]
        await bucket.multipart_complete("whole/parts", upload, parts)
asyncio.run(main())
"""


def write_and_be_killed(folder: Path, after_s: float) -> None:
    argv = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}) as child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(after_s)  # another moment of the cycle each time
        child.send_signal(signal.SIGKILL)


async def test_a_killed_writer_leaves_whole_objects_in_a_folder(tmp_path: Path) -> None:
    bucket = FolderBucket(tmp_path / "bucket")
    sizes = {"whole/put": 3_000_000, "whole/parts": 2 * PART_MIN_BYTES}
    for run in range(8):
        await asyncio.to_thread(write_and_be_killed, tmp_path / "bucket", 0.02 + 0.03 * run)
        async for info in bucket.list_prefix(""):
            data = await bucket.get(info.key)
            assert data.count(data[:1]) == len(data) == sizes.get(info.key, 300_000)
    assert await keys(bucket, "whole/once-")


# The folder store alone


async def test_a_folder_sweeps_what_a_killed_process_left(tmp_path: Path) -> None:
    bucket = FolderBucket(tmp_path)
    await bucket.check()
    upload = await bucket.multipart_begin("a")
    (tmp_path / ".tmp" / "left").write_bytes(b"torn")
    (tmp_path / ".multipart" / "begun").mkdir()
    await bucket.check()
    assert (tmp_path / ".tmp" / "left").exists()  # it may be in use
    later = FolderBucket(tmp_path, now=lambda: time.time() + LEFTOVER_S + 1)
    await later.check()
    assert file_names(tmp_path / ".tmp") == []
    assert not (tmp_path / ".multipart" / "begun").exists()
    assert await bucket.multipart_parts("a", upload) == []


async def test_a_folder_leaves_no_temporary_file(tmp_path: Path) -> None:
    bucket = FolderBucket(tmp_path)
    await bucket.put("a", b"1")
    await bucket.put_if_absent("a", b"2")
    await bucket.put_if_absent("b", b"3")
    await bucket.copy("a", "c")
    await bucket.copy("a", "c")
    with pytest.raises(Invalid):
        await bucket.put("a/b", b"4")
    assert file_names(tmp_path / ".tmp") == []
    assert file_names(tmp_path) == ["a", "b", "c"]


async def test_a_folder_refuses_an_object_under_an_object(tmp_path: Path) -> None:
    bucket = FolderBucket(tmp_path)
    await bucket.put("a", b"1")
    await bucket.put("b/c", b"2")
    for call in (bucket.put("a/b", b"x"), bucket.put_if_absent("a/b/c", b"x"), bucket.copy("a", "a/b")):
        with pytest.raises(Invalid):
            await call
    for call in (bucket.put("b", b"x"), bucket.put_if_absent("b", b"x"), bucket.copy("a", "b")):
        with pytest.raises(Invalid):
            await call
    assert await keys(bucket) == ["a", "b/c"]


async def test_a_folder_that_cannot_be_written_is_misconfigured(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Misconfigured, match="USHER_BUCKET"):
        await FolderBucket(tmp_path / "file" / "bucket").check()


async def test_a_full_disk_is_a_store_that_did_not_answer() -> None:
    with pytest.raises(StoreUnavailable):
        await FolderBucket(Path("/proc/self")).put("a", b"1")


# S3 alone


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
    assert await asyncio.to_thread(becomes, short, 403, within_s=20)
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
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - a test server's own URL
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, b""


async def test_only_s3_has_urls(bucket: Bucket) -> None:
    await bucket.put("a", b"1")
    assert (await bucket.presign_get("a", ttl_s=60) is not None) == isinstance(bucket, S3Bucket)


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
