"""A TCP proxy that spoils what it carries: latency, bandwidth, resets, silence, cuts and slow ends, set at run time.

In a test's own loop: `async with faulty(address) as proxy: proxy.set(latency_s=0.2)`. In a process of its own, for
tests that stall their loop or are killed: `with faulty_child(address) as proxy`, the same methods, blocking.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import msgspec

from infra.stack.child import own_session
from infra.tree import ROOT

#: Largest piece read at once, and pieces under way in one direction of a connection.
PIECE: Final = 65536
PIECES: Final = 64
#: A closed socket with this option sends RST.
_RST = struct.pack("ii", 1, 0)


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens to the bytes of every connection, open ones included; all zero: nothing."""

    #: Each piece is this late, in each direction.
    latency_s: float = 0.0
    #: Bytes a second in each direction of a connection; 0: as fast as it goes.
    bandwidth: float = 0.0
    #: Nothing passes, not even an end. When it is lifted, all that was sent meanwhile arrives, as by retransmission.
    blackhole: bool = False
    #: New connections are reset.
    refuse: bool = False
    #: A connection ends in good order after this many bytes towards the client; -1: never.
    truncate_after: int = -1
    #: A connection is reset after this many bytes towards the client; -1: never.
    reset_after: int = -1
    #: The end that the server gives a connection reaches the client this late.
    slow_close_s: float = 0.0


class _Cut(Exception):
    """This connection is over; `rst` when not in good order."""

    def __init__(self, *, rst: bool) -> None:
        super().__init__()
        self.rst = rst


class FaultProxy:
    """Forwards a port of its own to `there` (host:port), with the faults set last."""

    def __init__(self, there: str, *, port: int = 0) -> None:
        host, _, number = there.rpartition(":")
        self._there, self.port = (host, int(number)), port
        self.faults = Faults()
        #: Connections taken so far, and bytes handed to clients.
        self.accepted = self.bytes_down = 0
        self._server: asyncio.Server | None = None
        self._passing = asyncio.Event()
        self._passing.set()
        self._links: set[_Link] = set()

    @property
    def address(self) -> str:
        """host:port of the server through the proxy."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Take connections; the port stays the same from then on."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.close()
        self.set()
        self.reset()
        await asyncio.gather(*(link.ended.wait() for link in tuple(self._links)))

    def set(self, **faults: Any) -> None:
        """These faults from now on, and no others; none: everything passes."""
        self.faults = msgspec.convert(faults, Faults)
        if self.faults.blackhole:
            self._passing.clear()
        else:
            self._passing.set()

    def reset(self) -> None:
        """Reset all connections that are open now."""
        for link in tuple(self._links):
            link.abort()

    async def pass_on(self) -> None:
        """Wait while nothing passes."""
        await self._passing.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = _Link(self, writer)
        self._links.add(link)
        try:
            await link.run(reader, self._there)
        finally:
            self._links.discard(link)
            link.ended.set()


class _Link:
    """One connection and its twin to the server."""

    def __init__(self, proxy: FaultProxy, client: asyncio.StreamWriter) -> None:
        self._proxy, self._writers, self._sent = proxy, [client], 0
        self._work: asyncio.Task[None] | None = None
        self.ended = asyncio.Event()

    async def run(self, reader: asyncio.StreamReader, there: tuple[str, int]) -> None:
        self._work = asyncio.ensure_future(self._carry(reader, there))
        rst = False
        try:
            await self._work
        except (OSError, asyncio.CancelledError):
            rst = True
        except _Cut as cut:
            rst = cut.rst
        for writer in self._writers:
            if rst:
                _abort(writer)
            else:
                writer.close()

    def abort(self) -> None:
        """Reset both ends."""
        for writer in self._writers:
            _abort(writer)
        if self._work is not None:
            self._work.cancel()

    async def _carry(self, reader: asyncio.StreamReader, there: tuple[str, int]) -> None:
        if self._proxy.faults.refuse:
            raise _Cut(rst=True)
        await self._proxy.pass_on()
        server_reader, server = await asyncio.open_connection(*there)
        self._writers.append(server)
        pumps = [
            asyncio.ensure_future(self._pump(reader, server, down=False)),
            asyncio.ensure_future(self._pump(server_reader, self._writers[0], down=True)),
        ]
        try:
            await asyncio.gather(*pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, down: bool) -> None:
        """Two halves with a queue between, so that latency delays and does not throttle."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(PIECES)
        filling = asyncio.ensure_future(_fill(reader, queue))
        loop = asyncio.get_running_loop()
        try:
            while True:
                came, piece = await queue.get()
                await asyncio.sleep(came + self._proxy.faults.latency_s - loop.time())
                await self._proxy.pass_on()
                if not piece:
                    break
                await self._hand_over(piece, writer, down=down)
        finally:
            filling.cancel()
        await asyncio.sleep(self._proxy.faults.slow_close_s if down else 0.0)
        if writer.can_write_eof():
            writer.write_eof()

    async def _hand_over(self, piece: bytes, writer: asyncio.StreamWriter, *, down: bool) -> None:
        while piece:
            faults = self._proxy.faults
            step = max(1, int(faults.bandwidth / 20)) if faults.bandwidth else PIECE
            if down:
                step = self._until_cut(faults, step)
            part, piece = piece[:step], piece[step:]
            writer.write(part)
            await writer.drain()
            if down:
                self._sent += len(part)
                self._proxy.bytes_down += len(part)
                self._until_cut(faults, step)
            if faults.bandwidth:
                await asyncio.sleep(len(part) / faults.bandwidth)

    def _until_cut(self, faults: Faults, step: int) -> int:
        """How many of `step` bytes may go to the client before this connection is cut. Raises _Cut at that point."""
        for limit, rst in ((faults.truncate_after, False), (faults.reset_after, True)):
            if limit >= 0:
                if self._sent >= limit:
                    raise _Cut(rst=rst)
                step = min(step, limit - self._sent)
        return step


async def _fill(reader: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            piece = await reader.read(PIECE)
        except OSError:
            piece = b""
        await queue.put((loop.time(), piece))
        if not piece:
            return


def _abort(writer: asyncio.StreamWriter) -> None:
    link: socket.socket | None = writer.get_extra_info("socket")
    if link is not None and link.fileno() >= 0:
        with contextlib.suppress(OSError):
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
    writer.transport.abort()


@contextlib.asynccontextmanager
async def faulty(there: str, *, port: int = 0) -> AsyncIterator[FaultProxy]:
    """A proxy to `there` (host:port) in this loop."""
    proxy = FaultProxy(there, port=port)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


class FaultChild:
    """A proxy in a process of its own, led by lines on its standard input."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port = int(self._said())

    @property
    def address(self) -> str:
        """host:port of the server through the proxy."""
        return f"127.0.0.1:{self.port}"

    def set(self, **faults: Any) -> None:
        """These faults from now on, and no others; none: everything passes."""
        self._do({"set": faults})

    def reset(self) -> None:
        """Reset all connections that are open now."""
        self._do({"reset": True})

    def _do(self, order: dict[str, Any]) -> None:
        if self._process.stdin is None:
            raise RuntimeError("no way to lead the proxy")
        self._process.stdin.write(msgspec.json.encode(order).decode() + "\n")
        self._process.stdin.flush()
        self._said()

    def _said(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError("the fault proxy ended")
        return line


@contextlib.contextmanager
def faulty_child(there: str, *, port: int = 0) -> Iterator[FaultChild]:
    """A proxy to `there` (host:port) in a child process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.faults", there, str(port)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=own_session(os.getpid(), signal.SIGKILL),
    )
    with process:
        try:
            yield FaultChild(process)
        finally:
            process.kill()


async def _obey(there: str, port: int) -> None:
    """The child: one order a line, each answered by a line; the end of the input ends it."""
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async with faulty(there, port=port) as proxy:
        _answer(str(proxy.port))
        while line := await orders.readline():
            order: dict[str, Any] = msgspec.json.decode(line)
            if "set" in order:
                proxy.set(**order["set"])
            else:
                proxy.reset()
            _answer("done")


def _answer(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_obey(sys.argv[1], int(sys.argv[2])))
