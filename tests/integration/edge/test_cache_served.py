"""The disk tier behind a real edge: after a restart media come from their files, whole, by range and by HEAD."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.edge import until
from tests.support.edge_process import EdgeProcess, edge_process
from tests.support.films import Film, film_in
from tests.support.players import linked

SEGMENTS, SIZE = 3, 300_000


@pytest.fixture
def film(tmp_path: Path) -> Film:
    return film_in(tmp_path / "bucket", segments=SEGMENTS, size=SIZE)


@pytest.fixture
async def edge(tmp_path: Path, film: Film, redis_url: str) -> AsyncIterator[EdgeProcess]:
    """An edge that has served the film once, and was started anew when the bucket had lost it."""
    environ = {
        "USHER_REDIS_URL": redis_url,
        "USHER_BUCKET": str(tmp_path / "bucket"),
        "USHER_CACHE_DISK_BYTES": str(64 << 20),
        "USHER_CACHE_DISK_DIR": str(tmp_path / "cache"),
    }
    async with edge_process(tmp_path / "edge", environ) as running:
        token = running.token(scope=film.scope)
        async with linked(running.port) as link:
            for key in film.segments:
                answer = await link.ask("GET", f"/t/{token}/{key}")
                assert (answer.status, answer.sha256) == (200, film.digests[key])

        async def is_kept() -> bool:
            return (await running.metrics())["usher_edge_disk_bytes"] >= SEGMENTS * SIZE

        await until(is_kept)
        assert await running.stop() == 0
        shutil.rmtree(tmp_path / "bucket" / "v")
        await running.start()
        yield running


async def test_a_restarted_edge_serves_from_its_disk_what_the_bucket_does_not_give(
    edge: EdgeProcess, film: Film, tmp_path: Path
) -> None:
    key, token = film.segment(0), edge.token(scope=film.scope)
    bodies = {_sha256(path): path for path in (tmp_path / "cache").glob("??/*")}
    async with linked(edge.port) as link:
        whole = await link.ask("GET", f"/t/{token}/{key}")
        assert (whole.status, whole.sha256) == (200, film.digests[key])
        assert whole.headers["cache-status"] == "usher; hit; detail=disk"
        key = film.segment(1)
        part = await link.ask("GET", f"/t/{token}/{key}", headers={"Range": "bytes=1000-200999"})
        assert (part.status, part.headers["content-range"]) == (206, f"bytes 1000-200999/{SIZE}")
        assert part.body == bodies[film.digests[key]].read_bytes()[1000:201_000]
        head = await link.ask("HEAD", f"/t/{token}/{film.segment(2)}")
        assert (head.status, head.headers["content-length"]) == (200, str(SIZE))
        again = await link.ask("GET", f"/t/{token}/{key}", headers={"If-None-Match": part.headers["etag"]})
        assert again.status == 304


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
