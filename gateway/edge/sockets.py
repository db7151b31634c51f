"""The listening socket, which the server makes and does not show: how much the kernel may queue for slow readers."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shared import log

#: Bytes that wait unsent in the kernel for one connection, instead of up to 4 MB (Linux, TCP_NOTSENT_LOWAT).
UNSENT_BYTES: Final = 128 * 1024
#: The server begins to listen a moment after the application has started.
LOOK_S, LOOKS = 0.05, 200


async def bound_queues(port: int) -> None:
    """Bound what the kernel queues on connections that will be accepted on `port`; they inherit it. Never raises."""
    for _ in range(LOOKS):
        if bound(port):
            return
        await asyncio.sleep(LOOK_S)
    log.get("edge").warning("the kernel's queues are not bounded", port=port)


def bound(port: int) -> bool:
    """Set the bound on each socket of this process that listens on `port`; whether there was one."""
    found = False
    for copy in _sockets():
        with copy:
            if _listens(copy, port):
                copy.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
                found = True
    return found


def _sockets() -> Iterator[socket.socket]:
    try:
        paths = list(Path("/proc/self/fd").iterdir())
    except OSError:
        return
    for path in paths:
        try:
            if str(path.readlink()).startswith("socket:"):
                yield socket.socket(fileno=os.dup(int(path.name)))
        except OSError:
            continue


def _listens(one: socket.socket, port: int) -> bool:
    if one.family not in (socket.AF_INET, socket.AF_INET6) or one.type != socket.SOCK_STREAM:
        return False
    return bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)) and one.getsockname()[1] == port
