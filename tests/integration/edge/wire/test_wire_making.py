"""Requests that wait for what is being made, on the edge's own sockets and by granian."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.support import http2, unmade
from tests.support.edge import until
from tests.support.edge_process import EdgeProcess, edge_process
from tests.support.on_the_wire import BUCKET, environ
from tests.support.players import Link, linked
from tests.support.unmade import BYTES, segment
from tests.support.valkey import Valkey

pytestmark = pytest.mark.asyncio(loop_scope="module")
#: Waits that ended because their time was over.
LATE = 'usher_edge_held_total{outcome="late"}'


@pytest.fixture
def bucket(home: Path) -> Path:
    """A version of which nothing is made."""
    unmade.begin(home / BUCKET)
    for path in (home / BUCKET).rglob(f"{unmade.VERSION}/*/0/*.m4s"):
        path.unlink()
    return home / BUCKET


async def held(edge: EdgeProcess, count: int) -> None:
    """Until so many requests wait."""

    async def are_held() -> bool:
        return (await edge.metrics())["usher_edge_holds"] == count

    await until(are_held)


async def test_what_is_made_meanwhile_comes_whole_and_the_connection_goes_on(edge: EdgeProcess, bucket: Path) -> None:
    token = edge.token(sub="making", cap=100)
    async with linked(edge.port) as link:
        for number, method in ((0, "GET"), (1, "HEAD"), (3, "GET")):
            await link.send(method, f"/t/{token}/{segment(number)}")
            await held(edge, 1)
            unmade.put(bucket, segment(number))
            answer = await link.answer(method)
            assert (answer.status, answer.body) == (200, BYTES if method == "GET" else b"")
        assert (await link.ask("GET", f"/t/{token}/{segment(1)}")).body == BYTES


@pytest.mark.parametrize("how", ["aborts", "closes", "sends no more"])
async def test_who_leaves_frees_the_place(edge: EdgeProcess, bucket: Path, how: str) -> None:
    async with linked(edge.port) as link:
        await link.send("GET", f"/t/{edge.token(sub='leaving', cap=100)}/{segment(4)}")
        await held(edge, 1)
        before = (await edge.metrics())[LATE]
        _leave(link, how)
        await held(edge, 0)
        assert (await edge.metrics())[LATE] == before, "it waited to its end"


def _leave(link: Link, how: str) -> None:
    if how == "aborts":
        link.writer.transport.abort()
    elif how == "closes":
        link.writer.close()
    else:
        link.writer.write_eof()


async def test_a_connection_of_many_streams_that_ends_frees_all_their_places(
    doubled: EdgeProcess, bucket: Path
) -> None:
    token = doubled.token(sub="streams", cap=100)
    async with http2.linked(doubled.port) as link:
        asking = [asyncio.create_task(link.ask("GET", f"/t/{token}/{segment(number)}")) for number in range(3)]
        await held(doubled, 3)
        before = (await doubled.metrics())[LATE]
        unmade.put(bucket, segment(0))
        assert (await asking[0]).body == BYTES
        await held(doubled, 2)
    await asyncio.gather(*asking)
    await held(doubled, 0)
    assert (await doubled.metrics())[LATE] == before, "they waited to their end"


@pytest.mark.parametrize("doubles", ["true", "false"], ids=["granian", "own"])
async def test_an_edge_that_is_stopped_answers_who_waits(
    home: Path, bucket: Path, own_valkey: Valkey, doubles: str
) -> None:
    about = environ(home, own_valkey) | {"USHER_HTTP2_CLEARTEXT": doubles, "USHER_HOLD_S": "600"}
    async with edge_process(home / f"stopped-{doubles}", about) as edge, linked(edge.port) as link:
        await link.send("GET", f"/t/{edge.token(sub='stopped')}/{segment(4)}")
        await held(edge, 1)
        os.kill(edge.pid, signal.SIGTERM)
        await asyncio.sleep(0.5)
        unmade.put(bucket, segment(4))
        answer = await link.answer()
        assert (answer.status, answer.body) == (200, BYTES)
        assert await edge.stop() == 0
