"""A tap on the wire to an HTTP server: passes everything on and counts what was asked, by method and path."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator
from urllib.parse import unquote

from tests.support.wire import pump

_ASKED = re.compile(rb"(?:\A|\r\n\r\n)(GET|HEAD|PUT|POST) (\S+) HTTP/1\.1\r\n")


class Tap:
    """Forwards a port of its own to `there` (host:port). `asked` counts `GET key`, without the bucket's name."""

    def __init__(self, there: str) -> None:
        host, _, port = there.rpartition(":")
        self._there = (host, int(port))
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self.asked: Counter[str] = Counter()
        #: New connections wait here.
        self.let_through = asyncio.Event()
        self.let_through.set()
        self.port = 0

    @property
    def address(self) -> str:
        """host:port of the server through the tap."""
        return f"127.0.0.1:{self.port}"

    def reads(self, key: str) -> int:
        """How often an object was read."""
        return self.asked[f"GET {key}"]

    async def start(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End all connections."""
        if self._server is not None:
            self._server.close()
        self.let_through.set()
        for writer in tuple(self._links):
            writer.transport.abort()
        if self._serving:
            await asyncio.wait(self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        there_reader, there = await asyncio.open_connection(*self._there)
        self._links |= {writer, there}
        try:
            await asyncio.gather(self._up(reader, there), pump(there_reader, writer))
        finally:
            self._links -= {writer, there}

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                for method, path in _ASKED.findall(data):
                    key = unquote(path.decode()).partition("?")[0].lstrip("/").partition("/")[2]
                    self.asked[f"{method.decode()} {key}"] += 1
                await self.let_through.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def tapped(there: str) -> AsyncIterator[Tap]:
    """A tap to `there` (host:port)."""
    tap = Tap(there)
    await tap.start()
    try:
        yield tap
    finally:
        await tap.stop()
