"""kill -9 of any part, during an upload and during a transcode: nothing is lost, and the title becomes ready once."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import httpx2
import msgspec
import pytest

from infra.stack.mark import VARIABLE as MARK
from tests.support import api, media
from tests.support.api import Person, log_in, until
from tests.support.stack import Running, running_stack

#: What the command line of each part holds.
PARTS = {
    "control": "gateway.control.app",
    "worker": "gateway.control.worker",
    "edge": "-m gateway.edge",
    "farm": "-m farm",
    "valkey": "valkey-server",
}
READY_EVENTS = "select count(*) from outbox where type = 'transcode.completed' and data->>'title' = $1"
DONE_JOBS = "select count(*) from job where title = $1 and state = 'done'"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_stack(tmp_path_factory.mktemp("chaos"), demo=False) as running:
        yield running


@pytest.fixture
async def seller(stack: Running) -> AsyncIterator[Person]:
    person = await log_in(stack, "seller")
    yield person
    await person.close()


@pytest.fixture(scope="module")
def master() -> Path:
    """About ten seconds, large enough for several parts of a multipart upload."""
    noise = media.picture("640x360", seconds=10)
    return media.master("noise.mp4", *noise, *media.tone(10), *media.H264, "-vf", "noise=alls=60:allf=t", "-qp", "12")


def processes(running: Running, part: str) -> list[int]:
    """Processes of one part of this run, by its mark and command line."""
    mark = f"{MARK}={running.mark}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                environ = (folder / "environ").read_bytes().split(b"\0")
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:
                continue
            if mark in environ and PARTS[part].encode() in command:
                found.append(int(folder.name))
    return found


async def kill(running: Running, part: str) -> None:
    """SIGKILL to every process of the part, then wait until a new one stands in its place."""
    killed = processes(running, part)
    assert killed, f"no process of {part}"
    for pid in killed:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue

    async def back() -> bool | None:
        return True if set(processes(running, part)) - set(killed) else None

    await until(back, within_s=60, what=f"{part} started again")


#: Bytes of the PATCH that is under way when a part is killed; they may be kept or not.
STRAY = 300_000
#: `make chaos` asks for more; `make test` kills each part once while it uploads and once while it transcodes.
ROUNDS = range(int(os.environ.get("USHER_CHAOS_ROUNDS", "1")))


async def cut_short(seller: Person, upload: str, data: bytes, *, then: Callable[[], Awaitable[None]]) -> None:
    """A PATCH that sends STRAY bytes, stops, and is left open while `then` runs."""
    offset = len(data) * 2 // 3

    async def some() -> AsyncIterator[bytes]:
        yield data[offset : offset + STRAY]
        await then()
        raise ConnectionError("the client went away")

    headers = api.PATCH | {"Upload-Offset": str(offset)}
    with contextlib.suppress(httpx2.HTTPError, ConnectionError):
        await seller.http.patch(upload, content=some(), headers=headers)


async def finish(seller: Person, upload: str, data: bytes) -> bool | None:
    """Send what is missing; None while the upload is still held by the request that was cut short."""
    offset = await seller.offset(upload)
    headers = api.PATCH | {"Upload-Offset": str(offset)}
    answer = await seller.http.patch(upload, content=data[offset:], headers=headers)
    assert answer.status_code in (204, 409, 423, 503), answer.text
    return True if answer.status_code == 204 else None


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("round_", ROUNDS)
async def test_upload_resumes_and_title_becomes_ready_once_when_killed(
    stack: Running, seller: Person, master: Path, part: str, round_: int
) -> None:
    data = master.read_bytes()
    title = await seller.make_title(name=f"Survives {part} {round_}", kind="video")
    upload = await seller.begin_upload(title, master)
    await seller.send(upload, data[: len(data) * 2 // 3], offset=0)
    await cut_short(seller, upload, data, then=lambda: kill(stack, part))

    kept = await until(lambda: seller.offset(upload), within_s=60, what="the upload's offset")
    assert len(data) * 2 // 3 <= kept <= len(data) * 2 // 3 + STRAY
    await until(lambda: finish(seller, upload, data), within_s=60, what="the rest of the upload")

    async def encoding() -> bool | None:
        jobs = (await seller.ask("GET", f"titles/{title}/jobs"))["items"]
        return True if jobs and jobs[0]["state"] in ("encoding", "finalising", "done") else None

    await until(encoding, within_s=60, what="the encode began")
    await kill(stack, part)
    await until(lambda: _ready(seller, title), within_s=150, what=f"ready after {part} was killed")
    await assert_made_once(stack, title)


async def _ready(seller: Person, title: str) -> bool | None:
    return True if await seller.state(title) == "ready" else None


async def assert_made_once(stack: Running, title: str) -> None:
    """One job done, one completion told, and the bytes of one whole version in the bucket."""
    connection = await asyncpg.connect(stack.database_url)
    try:
        assert await connection.fetchval(READY_EVENTS, title) == 1
        assert await connection.fetchval(DONE_JOBS, title) == 1
    finally:
        await connection.close()
    versions = list((Path(stack.home) / "bucket" / "v" / title).glob("*/ready.json"))
    assert len(versions) == 1
    assert msgspec.json.decode(versions[0].read_bytes())
