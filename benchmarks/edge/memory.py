"""What connections hold: a thousand that idle, and five hundred that read slowly."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

from benchmarks import media
from benchmarks.client import open_lines, visit
from benchmarks.edge import nginx, sides
from benchmarks.edge.sides import Cast, Side
from benchmarks.report import Row
from benchmarks.stage import say

MIB = 1 << 20
SLOW_BYTES, SLOW_RATE, READERS = 4 * MIB, 10_000, 500
SLOW_BAR_MB = 64.0
#: A receive buffer so small that what a reader does not take stays with the server, and packets as small as a real
#: network's: those of loopback would not fit into it, and every one would wait for a timer.
_RECEIVE_BUFFER, _PACKET, _TICK_S = 16_384, 1448, 0.1


async def idle(cast: Cast, *, number: int) -> Row:
    """MiB per thousand keep-alive connections that asked once and now wait."""
    say(f"{number} idle keep-alives at 2 sides")
    key = cast.keys[cast.sizes[0].name][0]
    tokens = cast.stage.mint.draw(number)
    paths = [f"/t/{token}/{key}" for token in tokens]
    # What a session itself costs is another question.
    await visit(cast.sides[sides.EDGE].port, paths)
    ours = await _idle(cast.sides[sides.EDGE], paths)
    theirs = await _idle(cast.sides[sides.SECURE_LINK], [nginx.signed(token[-12:], key) for token in tokens])
    return Row(
        case="1,000 idle keep-alives",
        ours=ours,
        theirs=theirs,
        unit="MiB",
        value=ours,
        better="lower",
    )


async def _idle(side: Side, paths: list[str]) -> float:
    before = _mib(side)
    lines = await open_lines(side.port, len(paths))
    for start in range(0, len(paths), 100):
        await asyncio.gather(
            *(line.get(path) for line, path in list(zip(lines, paths, strict=True))[start : start + 100])
        )
    held = _mib(side) - before
    for line in lines:
        line.close()
    return held * 1000 / len(paths)


async def slow_readers(cast: Cast, *, seconds: float) -> Row:
    """MiB over idle while READERS read a body of 4 MB at 10 kB/s each."""
    say(f"{READERS} readers at {SLOW_RATE // 1000} kB/s for {seconds:g} s")
    side = cast.sides[sides.EDGE]
    key = media.fill(cast.stage.bucket, "slow", size=SLOW_BYTES, number=1)[0]
    tokens = cast.stage.mint.draw(READERS)
    small = cast.keys[cast.sizes[0].name][0]
    seated = await visit(side.port, [f"/t/{token}/{small}" for token in tokens] + [f"/t/{tokens[0]}/{key}"])
    if set(seated) != {200}:
        say(f"slow readers: {seated}")
    before = _mib(side)
    links = [_connect(side.port) for _ in range(READERS)]
    try:
        for link, token in zip(links, tokens, strict=True):
            link.sendall(f"GET /t/{token}/{key} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
            link.setblocking(False)
        most, received = await asyncio.to_thread(_drink, links, side, seconds)
        later = sum(1 for link in links if _is_over(link))
    finally:
        for link in links:
            link.close()
    # What a reader could take is told by the one who was served best: this process may be short of CPU itself.
    dry = sum(1 for got in received if got < max(received) / 2)
    if dry or later:
        say(f"slow readers: {dry} got less than half of what they could take, {later} were cut off")
    held = None if dry or later else most - before
    return Row(
        case=f"{READERS} readers at 10 kB/s, over idle",
        ours=held,
        theirs=None,
        unit="MiB",
        value=held,
        bar=SLOW_BAR_MB,
        aim=SLOW_BAR_MB / 2,
        better="lower",
    )


def _connect(port: int) -> socket.socket:
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _PACKET)
    link.connect(("127.0.0.1", port))
    return link


def _is_over(link: socket.socket) -> bool:
    """Whether the server ended the connection."""
    try:
        return link.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _drink(links: list[socket.socket], side: Side, seconds: float) -> tuple[float, list[int]]:
    """Read a little of each, each tick; the most MiB the server held, and the bytes each got. Blocks."""
    most, received = 0.0, [0] * len(links)
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        for place, link in enumerate(links):
            with contextlib.suppress(OSError):
                received[place] += len(link.recv(int(SLOW_RATE * _TICK_S)))
        most = max(most, _mib(side))
        time.sleep(max(0.0, now + _TICK_S - time.monotonic()))
    return most, received


def _mib(side: Side) -> float:
    return sum(server.memory_bytes() for server in side.servers) / MIB
