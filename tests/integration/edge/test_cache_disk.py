"""The cache with its disk tier on real buckets: restarts, kills, spoilt files, and files that are wanted again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from obstore.store import LocalStore, ObjectStore

from gateway.edge.cache import Cache
from gateway.edge.disk import GRACE_S, Disk
from gateway.edge.filling import Filling
from gateway.edge.objects import Filed
from gateway.edge.origin import Origin, store_of
from shared.settings import EdgeSettings
from tests.support.edge import until
from tests.support.s3 import S3Server, nanio

BIG, SMALL = os.urandom(700_001), os.urandom(5000)
KEYS = {f"v/t/ver/720/0/{number}.m4s": BIG for number in range(4)} | {"v/t/ver/720/init.mp4": SMALL}
SEGMENT, INIT = "v/t/ver/720/0/0.m4s", "v/t/ver/720/init.mp4"
PLAYLIST = "v/t/ver/720/index.m3u8"


class Process:
    """What one process of the edge holds: a cache on a bucket, and its disk tier."""

    def __init__(self, store: ObjectStore, folder: Path, *, ram: int = 64 << 20, disk: int = 64 << 20) -> None:
        self.now = 1000.0
        self.origin = Origin(store, timeout_s=5, tick=lambda: self.now)
        self.disk = Disk(folder, budget_bytes=disk, tick=lambda: self.now)
        self.cache = Cache(self.origin, budget_bytes=ram, tick=lambda: self.now, disk=self.disk)

    async def get(self, key: str) -> tuple[bytes, str]:
        found, how = await self.cache.get(key)
        if isinstance(found, Filed):
            return Path(found.path).read_bytes(), how
        if isinstance(found, Filling):
            return b"".join([piece async for piece in found.pieces(0, found.size)]), how
        return b"".join(found.chunks), how

    async def kept(self, *keys: str) -> None:
        """Read these and wait until they are on disk."""
        for key in keys:
            await self.get(key)
        await until(self._is_idle)
        await self.disk.written()

    async def _is_idle(self) -> bool:
        return self.cache.fills.in_flight == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with nanio(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(params=["files", "s3"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """A bucket with a finished version."""
    made: ObjectStore = LocalStore(tmp_path / "bucket", mkdir=True)
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("server")
        name = f"disk-{os.urandom(4).hex()}"
        await server.make_bucket(name)
        made = store_of(
            EdgeSettings(
                bucket=f"s3://{name}",
                s3_endpoint=server.endpoint,
                s3_region=server.region,
                s3_access_key=server.access_key,
                s3_secret_key=server.secret_key,
            )
        )
    for key, body in KEYS.items():
        await made.put_async(key, body)
    await made.put_async("v/t/ver/ready.json", b"{}")
    await made.put_async(PLAYLIST, b"#EXTM3U\n")
    return made


@pytest.fixture
async def first(store: ObjectStore, tmp_path: Path) -> AsyncIterator[Process]:
    process = Process(store, tmp_path / "cache")
    await process.disk.open()
    yield process
    await process.cache.close()


async def restarted(first: Process, folder: Path) -> Process:
    """The next process, on an empty bucket: what it serves is from disk."""
    await first.cache.close()
    (folder / "empty").mkdir()
    process = Process(LocalStore(folder / "empty"), folder / "cache")
    await process.disk.open()
    return process


async def test_a_restart_serves_from_disk_what_was_served_before(first: Process, tmp_path: Path) -> None:
    assert (await first.get(SEGMENT))[1] == "miss"
    await first.kept(SEGMENT, INIT)
    second = await restarted(first, tmp_path)
    assert await second.get(SEGMENT) == (BIG, "disk")
    assert await second.get(INIT) == (SMALL, "disk")
    assert second.cache.held(INIT) is not None
    assert isinstance((await second.cache.get(SEGMENT))[0], Filed)
    await second.cache.close()


async def test_a_file_wanted_again_moves_to_ram(first: Process, tmp_path: Path) -> None:
    await first.kept(SEGMENT)
    second = await restarted(first, tmp_path)
    for _ in range(2):
        assert await second.get(SEGMENT) == (BIG, "disk")

    async def is_in_ram() -> bool:
        return second.cache.held(SEGMENT) is not None

    await until(is_in_ram)
    assert await second.get(SEGMENT) == (BIG, "hit")
    await second.cache.close()


async def test_many_first_uses_verify_a_file_once_and_all_get_it(first: Process, tmp_path: Path) -> None:
    await first.kept(SEGMENT)
    second = await restarted(first, tmp_path)
    assert set(await asyncio.gather(*(second.get(SEGMENT) for _ in range(200)))) == {(BIG, "disk")}
    await second.cache.close()


async def test_a_spoilt_file_is_fetched_anew(first: Process, store: ObjectStore, tmp_path: Path) -> None:
    await first.kept(SEGMENT, INIT)
    await first.cache.close()
    for path in bodies(tmp_path / "cache"):
        path.write_bytes(os.urandom(path.stat().st_size))
    second = Process(store, tmp_path / "cache")
    await second.disk.open()
    assert await second.get(SEGMENT) == (BIG, "miss")
    assert await second.get(INIT) == (SMALL, "miss")
    await second.kept(SEGMENT, INIT)
    third = await restarted(second, tmp_path)
    assert await third.get(SEGMENT) == (BIG, "disk")
    await third.cache.close()


async def test_a_reader_of_a_file_reads_on_when_it_is_evicted(store: ObjectStore, tmp_path: Path) -> None:
    process = Process(store, tmp_path / "cache", ram=1, disk=800_000)
    await process.disk.open()
    await process.kept(SEGMENT)
    found, _ = await process.cache.get(SEGMENT)
    assert isinstance(found, Filed)
    with Path(found.path).open("rb") as file:  # noqa: ASYNC230
        beginning = file.read(1000)
        process.now += GRACE_S
        await process.kept(*(key for key in KEYS if key != SEGMENT))
        await process.disk.bury()
        assert not Path(found.path).exists()
        assert beginning + file.read() == BIG
    assert sum(path.stat().st_size for path in bodies(tmp_path / "cache")) <= 800_000
    await process.cache.close()


async def test_a_playlist_comes_to_disk_only_when_it_is_final(
    first: Process, store: ObjectStore, tmp_path: Path
) -> None:
    unfinished = PLAYLIST.replace("/ver/", "/next/")
    await store.put_async(unfinished, b"#EXTM3U\nhalf")
    await first.kept(PLAYLIST, unfinished)
    assert [path.read_bytes() for path in bodies(tmp_path / "cache")] == [b"#EXTM3U\n"]
    await store.put_async("v/t/next/ready.json", b"{}")
    await store.put_async(unfinished, b"#EXTM3U\nwhole")
    first.now += 10
    assert await first.get(unfinished) == (b"#EXTM3U\nwhole", "revalidated")
    await first.kept()
    second = await restarted(first, tmp_path)
    assert await second.get(PLAYLIST) == (b"#EXTM3U\n", "disk")
    assert await second.get(unfinished) == (b"#EXTM3U\nwhole", "disk")
    await second.cache.close()


async def test_a_kill_in_the_middle_of_writes_leaves_nothing_wrong(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    for _ in range(3):
        before = len(bodies(folder))
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)])  # noqa: ASYNC220
        try:

            async def has_written(known: int = before) -> bool:
                return len(bodies(folder)) >= known + 10

            await until(has_written)
        finally:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        process = Process(LocalStore(folder), folder)
        await process.disk.open()
        left = bodies(folder)
        assert not [path for path in left if path.suffix == ".tmp"]
        for number in range(1000):
            found = await process.disk.find(f"v/t/ver/720/0/{number}.m4s")
            if isinstance(found, Filed):
                assert Path(found.path).read_bytes() == body_of(number)
                left.remove(Path(found.path))
        assert left == []
        assert process.disk.failures.total() == 0
        await process.cache.close()


def body_of(number: int) -> bytes:
    return number.to_bytes(4, "big") * 50_000


WRITER = """
import itertools, pathlib, sys
from gateway.edge.folder import Folder
from gateway.edge.objects import Object, in_pieces
folder = Folder(pathlib.Path(sys.argv[1]))
assert folder.open()
known = {note.key for note in folder.scan()}
for number in itertools.count():
    key, body = f"v/t/ver/720/0/{number}.m4s", number.to_bytes(4, "big") * 50_000
    if key not in known:
        folder.write(key, Object('"x"', len(body), tuple(in_pieces(memoryview(body)))))
"""


def bodies(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("??/*") if not path.name.endswith(".json"))
