"""A TCP wire to a server that a test cuts and mends, as a network or a restart would."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit


class Wire:
    """Forwards a port of its own to the server of `url`; `self.url` is the address through the wire."""

    def __init__(self, url: str) -> None:
        self._there = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._links: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """The server's address through the wire."""
        user, _, _ = self._there.netloc.rpartition("@")
        return self._there._replace(
            netloc=f"{user}@127.0.0.1:{self._port}" if user else f"127.0.0.1:{self._port}"
        ).geturl()

    async def mend(self) -> None:
        """Take connections, on the same port as before."""
        self._server = await asyncio.start_server(self._link, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """End all connections at once and take none."""
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._links):
            writer.transport.abort()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(self._there.hostname, self._there.port)
        self._links |= {writer, there_writer}
        await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))
        self._links -= {writer, there_writer}


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what one side says until it ends."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def wire_to(url: str) -> AsyncIterator[Wire]:
    """A mended wire to `url`, cut at the end."""
    wire = Wire(url)
    await wire.mend()
    try:
        yield wire
    finally:
        await wire.cut()
