"""Readers that take a body slowly, through sockets so small that the server must hold what they do not take."""

from __future__ import annotations

import asyncio
import hashlib
import socket

from tests.support.players import Link

#: What the kernel keeps for a reader, and what is read at once.
BUFFER_BYTES, STEP_BYTES = 4096, 2048


async def slow_link(port: int, *, source: str = "") -> Link:
    """A connection with as little room as the kernel allows."""
    plug = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    plug.setblocking(False)
    if source:
        plug.bind((source, 0))
    loop = asyncio.get_running_loop()
    await loop.sock_connect(plug, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=plug, limit=STEP_BYTES)
    return Link(reader, writer)


async def read_slowly(link: Link, *, bytes_per_s: float, until: asyncio.Event) -> tuple[int, str]:
    """Read a body at this rate until `until` is set, or to its end; how much came, and its sha-256."""
    size, digest = 0, hashlib.sha256()
    while not until.is_set() and (piece := await link.reader.read(STEP_BYTES)):
        size += len(piece)
        digest.update(piece)
        await asyncio.sleep(len(piece) / bytes_per_s)
    return size, digest.hexdigest()
