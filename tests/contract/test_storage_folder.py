"""What the folder store alone has: temporary files, paths, a disk, and a process that dies."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared.errors import Invalid, Misconfigured, NotFound, StoreUnavailable
from shared.storage.base import PART_MIN_BYTES
from shared.storage.files import LEFTOVER_S, FolderBucket
from tests.support.buckets import file_names, keys


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


async def test_a_folder_ties_a_multipart_to_its_key(tmp_path: Path) -> None:
    bucket = FolderBucket(tmp_path)
    upload = await bucket.multipart_begin("masters/1")
    for key, begun in (("masters/other", upload), ("masters/1", f"../.multipart/{upload}"), ("masters/1", "")):
        with pytest.raises(NotFound):
            await bucket.multipart_put(key, begun, number=1, data=b"bytes")
    await bucket.multipart_abort("masters/other", upload)
    assert await bucket.multipart_parts("masters/1", upload) == []


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
