"""Leaving: an edge that is told to stop sends its viewers away first, and each of them gets what he asked for."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.edge import drain
from shared.settings import EdgeSettings
from tests.support import http2
from tests.support.edge import SEGMENT, SEGMENT_BYTES, until
from tests.support.edge_process import EdgeProcess, edge_process
from tests.support.players import linked
from tests.support.slow import STEP_BYTES, slow_link

DRAIN_S, LONG_S = 1, 600


@pytest.fixture
def environ(folder: Path, redis_url: str) -> dict[str, str]:
    return {"USHER_REDIS_URL": redis_url, "USHER_JWKS_URL": "", "USHER_BUCKET": str(folder / "bucket"),
            "USHER_DRAIN_S": "1", "USHER_STOP_S": "10"}  # fmt: skip


@pytest.fixture
async def edge(folder: Path, environ: dict[str, str]) -> AsyncIterator[EdgeProcess]:
    async with edge_process(folder / "one", environ) as running:
        yield running


def settings(edge: EdgeProcess) -> EdgeSettings:
    return EdgeSettings(home=edge.folder, listen_port=edge.port, drain_s=1)


def hook(edge: EdgeProcess, *, drain_s: int = DRAIN_S) -> subprocess.Popen[bytes]:
    """The preStop hook, with no more than it needs to find the edge; it waits `drain_s`."""
    environ = {"USHER_HOME": str(edge.folder), "USHER_LISTEN_PORT": str(edge.port), "USHER_DRAIN_S": str(drain_s)}
    command = [sys.executable, "-m", "gateway.edge", "drain"]
    return subprocess.Popen(command, env={"PATH": os.environ["PATH"], **environ}, stderr=subprocess.PIPE)


async def until_away(edge: EdgeProcess) -> None:
    async def away() -> bool:
        return not await edge.is_ready()

    await until(away)


async def test_a_signal_drains_it(edge: EdgeProcess) -> None:
    os.kill(edge.pid, signal.SIGUSR1)
    await until_away(edge)
    async with linked(edge.port) as link:
        answer = await link.ask("GET", f"/t/{edge.token()}/{SEGMENT}")
    assert (answer.status, answer.body, answer.closes) == (200, SEGMENT_BYTES, True)
    assert (await edge.metrics())["usher_edge_draining"] == 1
    assert await edge.stop() == 0


async def test_a_hang_up_changes_nothing(edge: EdgeProcess) -> None:
    worker = edge.worker
    os.kill(edge.pid, signal.SIGHUP)
    os.kill(worker, signal.SIGHUP)
    for number in range(3):
        async with linked(edge.port) as link:
            assert (await link.ask("GET", f"/t/{edge.token(sub=f'viewer-{number}')}/{SEGMENT}")).status == 200
    assert await edge.is_ready() and edge.worker == worker
    assert await edge.stop() == 0


async def test_the_hook_waits_until_the_edge_is_drained(edge: EdgeProcess) -> None:
    with hook(edge) as hooked:
        assert await asyncio.to_thread(hooked.wait, 60) == 0
    assert not await edge.is_ready()
    with hook(edge, drain_s=LONG_S) as hooked:
        await asyncio.sleep(2)
        assert hooked.poll() is None
        assert await edge.stop() == 0
        assert await asyncio.to_thread(hooked.wait, 60) == 0
    assert not drain.pid_file(settings(edge)).exists()


async def test_the_hook_says_when_there_is_nothing_to_drain(edge: EdgeProcess) -> None:
    edge.kill()
    assert drain.pid_file(settings(edge)).exists()
    with hook(edge) as hooked:
        _, said = await asyncio.to_thread(hooked.communicate, timeout=60)
    assert hooked.returncode == 1 and b"No edge runs here" in said


def test_a_stranger_who_was_given_the_number_is_left_alone(tmp_path: Path) -> None:
    other = EdgeSettings(home=tmp_path, listen_port=1, drain_s=0)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        drain.pid_file(other).write_text(str(stranger.pid))
        with pytest.raises(drain.Nowhere):
            drain.ask(other)
        assert stranger.poll() is None
        stranger.kill()


async def test_what_is_being_answered_at_the_end_is_answered(edge: EdgeProcess) -> None:
    async with linked(edge.port) as busy, linked(edge.port) as idle:
        assert (await idle.ask("GET", f"/t/{edge.token()}/{SEGMENT}")).status == 200
        await busy.send("GET", f"/t/{edge.token()}/{SEGMENT}")
        # The head is here and the body is on its way.
        await busy.reader.readuntil(b"\r\n")
        os.kill(edge.pid, signal.SIGTERM)
        got = await asyncio.wait_for(busy.reader.readuntil(b"\r\n\r\n"), 60)
        body = await asyncio.wait_for(busy.reader.readexactly(len(SEGMENT_BYTES)), 60)
        assert b"content-length" in got and body == SEGMENT_BYTES
        assert await asyncio.wait_for(idle.reader.read(), 60) == b""
    assert await edge.stop() == 0


async def test_a_slow_reader_gets_his_segment_to_its_end(edge: EdgeProcess) -> None:
    link = await slow_link(edge.port)
    await link.send("GET", f"/t/{edge.token()}/{SEGMENT}")
    head = await link.head()
    os.kill(edge.pid, signal.SIGTERM)
    body = b""
    # About 150 KB/s: what the kernel keeps is a small part of the whole.
    while len(body) < len(SEGMENT_BYTES) and (piece := await link.reader.read(STEP_BYTES)):
        body += piece
        await asyncio.sleep(STEP_BYTES / 150_000)
    link.close()
    assert head.status == 200 and body == SEGMENT_BYTES
    assert await edge.stop() == 0


@pytest.fixture
async def doubled(folder: Path, environ: dict[str, str]) -> AsyncIterator[EdgeProcess]:
    """One that speaks HTTP/2 too, by granian."""
    async with edge_process(folder / "two", environ | {"USHER_HTTP2_CLEARTEXT": "true"}) as running:
        yield running


async def test_a_signal_to_the_process_that_was_started_drains_its_worker(doubled: EdgeProcess) -> None:
    assert doubled.worker != doubled.pid
    os.kill(doubled.pid, signal.SIGUSR1)
    await until_away(doubled)
    assert await doubled.stop() == 0


async def test_http_2_is_told_to_go_away_and_gets_no_wrong_byte(doubled: EdgeProcess) -> None:
    edge = doubled
    async with http2.linked(edge.port) as link:
        target = f"/t/{edge.token()}/{SEGMENT}"
        await edge.drain()
        await until_away(edge)
        answer = await link.ask("GET", target)
        assert (answer.status, answer.body) == (200, SEGMENT_BYTES)
        asked = asyncio.ensure_future(link.ask("GET", target))
        await asyncio.sleep(0)
        os.kill(edge.pid, signal.SIGTERM)

        async def told() -> bool:
            return link.goaway >= 0

        await until(told)
        assert link.goaway == 0
        answer = await asked
        # granian may cut a stream that is on its way when it stops; what came is a beginning, and known to be cut.
        assert answer.status == 200 and answer.length == len(SEGMENT_BYTES)
        assert SEGMENT_BYTES.startswith(answer.body)
    assert await edge.stop() == 0
