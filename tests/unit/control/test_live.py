"""Server-sent events: what is told of a value, and that the server control runs on keeps the stream."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

from starlette.responses import StreamingResponse

from gateway.control import live
from shared.errors import UsherError
from tests.support.ports import free_port

#: As control is run (infra/stack/plan.py).
SERVED = ("--interface", "asgi", "--host", "127.0.0.1", "--workers", "1", "--loop", "uvloop", "--no-ws", "counting:app")
COUNTING = """
from itertools import count
from starlette.applications import Starlette
from starlette.routing import Route
from gateway.control import live
live.LOOK_S = 0.05
async def tell(request):
    numbers = count()
    async def read():
        return next(numbers)
    return await live.follow("count", read, is_over=lambda number: number >= 5)
app = Starlette(routes=[Route("/", tell)])
"""


async def test_stream_tells_what_changed_and_only_that() -> None:
    views = iter([1, 1, 2, 2, 3])

    async def read() -> int:
        if (found := next(views, None)) is None:
            raise UsherError("over")
        return found

    answer = await live.follow("number", read)
    assert isinstance(answer, StreamingResponse)
    parts = [bytes(part) async for part in answer.body_iterator]  # type: ignore[arg-type]
    assert [part.rpartition(b"data: ")[2].strip() for part in parts] == [b"1", b"2", b"3"]


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
