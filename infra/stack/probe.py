"""Readiness: whether something answers at a port of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import msgspec


class Probe(msgspec.Struct, frozen=True):
    """A port that must accept, and a path that must answer 200 where one is given. Port 0: nothing to wait for."""

    port: int = 0
    path: str = ""
    host: str = "127.0.0.1"

    async def answers(self, *, timeout_s: float = 2.0) -> bool:
        """Ask once."""
        if not self.port:
            return True
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_connection(self.host, self.port)
                try:
                    return await self._get(reader, writer) if self.path else True
                finally:
                    writer.close()
                    with contextlib.suppress(OSError):
                        await writer.wait_closed()
        except (OSError, TimeoutError):
            return False

    async def _get(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(f"GET {self.path} HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n\r\n".encode())
        status = await reader.readline()
        return status.split(b" ")[1:2] == [b"200"]


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
