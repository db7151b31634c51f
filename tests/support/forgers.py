"""Forgers in a process of their own: tokens of a known key whose signature alone is wrong, all different, at a rate."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator

import msgspec
import uvloop

from infra.stack.child import own_session
from infra.tree import ROOT
from tests.support.players import connect

CONNECTIONS = 40


class Order(msgspec.Struct, frozen=True):
    """Forge `token` so often a second, for so long, against the edge at `port`, asking for `path`."""

    port: int
    token: str
    path: str
    rate: float
    seconds: float


class Outcome(msgspec.Struct, frozen=True):
    """How often each status was answered."""

    statuses: dict[int, int]

    @property
    def total(self) -> int:
        return sum(self.statuses.values())


@contextlib.contextmanager
def forging(order: Order) -> Iterator[subprocess.Popen[bytes]]:
    """The process; `outcome` waits for what it says."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.forgers", msgspec.json.encode(order).decode()],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        preexec_fn=own_session(os.getpid(), signal.SIGKILL),
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


async def outcome(process: subprocess.Popen[bytes]) -> Outcome:
    """What the forgers were answered, when they have done."""
    said, _ = await asyncio.to_thread(process.communicate)
    return msgspec.json.decode(said, type=Outcome)


async def _forge(order: Order, number: int, *, statuses: Counter[int]) -> None:
    """One connection: a token each turn, from an address that it shares with nobody."""
    head, _, _ = order.token.rpartition(".")
    pause, end = CONNECTIONS / order.rate, time.monotonic() + order.seconds
    link, due = None, time.monotonic() + pause * number / CONNECTIONS
    while due < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        due += pause
        signature = base64.urlsafe_b64encode(secrets.token_bytes(64)).rstrip(b"=").decode()
        try:
            if link is None or link.is_over:
                link = await connect(order.port, source=f"127.200.{number}.{1 + secrets.randbelow(250)}")
            link.writer.write(f"GET /t/{head}.{signature}/{order.path} HTTP/1.1\r\nHost: edge\r\n\r\n".encode())
            # A refused segment has no body, and the forgers must not cost what they measure.
            statuses[int((await link.reader.readuntil(b"\r\n\r\n"))[9:12])] += 1
        except (asyncio.IncompleteReadError, OSError):
            statuses[0] += 1
            link = None
    if link is not None:
        link.close()


async def _main(order: Order) -> None:
    statuses: Counter[int] = Counter()
    await asyncio.gather(*(_forge(order, number, statuses=statuses) for number in range(CONNECTIONS)))
    sys.stdout.buffer.write(msgspec.json.encode(Outcome(dict(statuses))))


if __name__ == "__main__":
    uvloop.run(_main(msgspec.json.decode(sys.argv[1], type=Order)))
