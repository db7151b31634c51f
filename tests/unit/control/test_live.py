"""Server-sent events: what is told of a value, and that the server control runs on keeps the stream."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from http.client import HTTPConnection
from itertools import count
from pathlib import Path

import pytest
from starlette.responses import Response, StreamingResponse
from starlette.types import Message

from gateway.control import live
from shared.errors import Forbidden, TooMany, UsherError
from tests.support.ports import free_port

#: As control is run (infra/stack/plan.py).
SERVED = ("--interface", "asgi", "--host", "127.0.0.1", "--workers", "1", "--loop", "uvloop", "--no-ws", "counting:app")
COUNTING = """
from itertools import count
from starlette.applications import Starlette
from starlette.routing import Route
from gateway.control import live
live.LOOK_S = 0.05
streams = live.Streams()
async def tell(request):
    numbers = count()
    async def read():
        return next(numbers)
    return await streams.follow("count", read, by="usr_1", about="/", is_over=lambda number: number >= 5)
app = Starlette(routes=[Route("/", tell)])
"""


async def test_stream_tells_what_changed_and_only_that() -> None:
    views = iter([1, 1, 2, 2, 3])

    async def read() -> int:
        if (found := next(views, None)) is None:
            raise UsherError("over")
        return found

    answer = await live.Streams().follow("number", read, by="usr_1", about="/number")
    assert isinstance(answer, StreamingResponse)
    parts = [bytes(part) async for part in answer.body_iterator]  # type: ignore[arg-type]
    assert [part.rpartition(b"data: ")[2].strip() for part in parts] == [b"1", b"2", b"3"]


async def test_person_has_so_many_streams_and_one_more_when_one_ends() -> None:
    streams = live.Streams()
    held = [await streams.follow("one", _one, by="usr_1", about=f"/{number}") for number in range(live.MOST)]
    with pytest.raises(TooMany) as refused:
        await streams.follow("one", _one, by="usr_1", about="/more")
    assert refused.value.retry_after_s == live.HEARTBEAT_S
    await streams.follow("one", _one, by="usr_2", about="/more")
    with pytest.raises(ConnectionResetError):  # its listener is gone before it begins
        await held[0]({"type": "http"}, _silent, _gone)
    await streams.follow("one", _one, by="usr_1", about="/more")


async def test_stream_that_cannot_begin_takes_no_place() -> None:
    streams = live.Streams()

    async def read() -> int:
        raise Forbidden("no")

    for _ in range(live.MOST + 1):
        with pytest.raises(Forbidden):
            await streams.follow("number", read, by="usr_1", about="/number")


async def test_streams_about_the_same_thing_share_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    streams, numbers, at = live.Streams(), count(1), 0.0
    monkeypatch.setattr(live, "LOOK_S", 0.01)
    monkeypatch.setattr(live, "monotonic", lambda: at)

    async def read() -> int:
        return next(numbers)

    followed = [await streams.follow("number", read, by="usr_1", about="/") for _ in range(3)]
    other = await streams.follow("number", read, by="usr_2", about="/")
    begun = [await _next_of(stream) for stream in (*followed, other)]
    assert begun == [b"1", b"2", b"3", b"4"]
    at = 0.01
    assert await asyncio.gather(*(_next_of(stream) for stream in followed)) == [b"5"] * 3
    assert await _next_of(other) == b"6"


async def _next_of(stream: Response) -> bytes:
    """The value that a stream tells next."""
    assert isinstance(stream, StreamingResponse)
    return bytes(await anext(stream.body_iterator)).rpartition(b"data: ")[2].strip()  # type: ignore[call-overload]


async def _one() -> int:
    return 1


async def _silent() -> Message:
    """What a listener says who stays: nothing."""
    await asyncio.Event().wait()
    raise AssertionError


async def _gone(message: Message) -> None:
    raise ConnectionResetError


def test_stream_lasts_until_its_last_value_where_granian_serves_it(tmp_path: Path) -> None:
    (tmp_path / "counting.py").write_text(COUNTING)
    port = free_port()
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join((str(tmp_path), *sys.path))}
    server = subprocess.Popen([sys.executable, "-m", "granian", "--port", str(port), *SERVED], env=environ)
    try:
        said = _read(port)
    finally:
        server.terminate()
        server.wait()
    assert [line for line in said.splitlines() if line.startswith("data: ")] == [f"data: {one}" for one in range(6)]


def _read(port: int) -> str:
    """The whole answer, once the server is up."""
    until = time.monotonic() + 60
    while True:
        asking = HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            asking.request("GET", "/")
            return asking.getresponse().read().decode()
        except ConnectionRefusedError:
            assert time.monotonic() < until
            time.sleep(0.1)
        finally:
            asking.close()
