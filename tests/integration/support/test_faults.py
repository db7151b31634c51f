"""The fault proxy: each fault does to a connection what it says, and lifting it mends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable

import pytest

from tests.support.faults import FaultProxy, faulty, faulty_child

BODY = bytes(range(256)) * 2000


@pytest.fixture
async def echo() -> AsyncIterator[str]:
    """A server that sends back each line, a long body for `body`, and ends the connection after `end`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while (line := await reader.readline()) and line != b"end\n":
                writer.write(BODY if line == b"body\n" else line)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    yield f"{host}:{port}"
    server.close()


@pytest.fixture
async def proxy(echo: str) -> AsyncIterator[FaultProxy]:
    async with faulty(echo) as running:
        yield running


class Client:
    """One connection to a port of this machine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, line: bytes) -> bytes:
        """The server's answer to a line."""
        self.writer.write(line + b"\n")
        return (await self.reader.readline()).rstrip()


@pytest.fixture
async def client(proxy: FaultProxy) -> AsyncIterator[Client]:
    made = await connect(proxy)
    yield made
    made.writer.close()


async def connect(proxy: FaultProxy) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", proxy.port))


async def took(work: Awaitable[object]) -> float:
    loop = asyncio.get_running_loop()
    start = loop.time()
    await work
    return loop.time() - start


async def test_everything_passes_when_no_fault_is_set(proxy: FaultProxy, client: Client) -> None:
    assert await client.say(b"one") == b"one"
    client.writer.write(b"body\n")
    assert await client.reader.readexactly(len(BODY)) == BODY
    assert (proxy.accepted, proxy.bytes_down) == (1, len(BODY) + 4)


async def test_latency_delays_both_ways_and_does_not_throttle(proxy: FaultProxy, client: Client) -> None:
    proxy.set(latency_s=0.8)
    assert await took(client.say(b"one")) >= 1.6
    client.writer.write(b"body\n")
    # Eight pieces and more, each late: one after the other they would take 0.8 s each.
    assert 1.6 <= await took(client.reader.readexactly(len(BODY))) < 7.2


async def test_bandwidth_bounds_what_passes_in_a_second(proxy: FaultProxy, client: Client) -> None:
    await client.say(b"one")
    proxy.set(bandwidth=len(BODY) * 2)
    client.writer.write(b"body\n")
    assert await took(client.reader.readexactly(len(BODY))) >= 0.4


async def test_a_blackhole_holds_everything_until_it_is_lifted(proxy: FaultProxy, client: Client) -> None:
    await client.say(b"one")
    proxy.set(blackhole=True)
    late = asyncio.create_task(client.say(b"two"))
    fresh = await connect(proxy)
    fresh_late = asyncio.create_task(fresh.say(b"three"))
    assert (await asyncio.wait([late, fresh_late], timeout=0.2))[0] == set()
    proxy.set()
    assert [await late, await fresh_late] == [b"two", b"three"]
    fresh.writer.close()


async def test_a_reset_ends_open_connections_and_refuse_the_new_ones(proxy: FaultProxy, client: Client) -> None:
    await client.say(b"one")
    proxy.set(refuse=True)
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        await client.reader.readexactly(1)
    refused = await connect(proxy)
    with pytest.raises(ConnectionResetError):
        await refused.reader.readexactly(1)
    proxy.set()
    again = await connect(proxy)
    assert await again.say(b"two") == b"two"
    for one in (refused, again):
        one.writer.close()


@pytest.mark.parametrize("length", [0, 1, 70_000])
async def test_a_truncated_answer_ends_in_good_order(proxy: FaultProxy, client: Client, length: int) -> None:
    proxy.set(truncate_after=length)
    client.writer.write(b"body\n")
    assert await client.reader.read(-1) == BODY[:length]


async def test_an_answer_is_reset_in_the_middle(proxy: FaultProxy, client: Client) -> None:
    proxy.set(reset_after=70_000)
    client.writer.write(b"body\n")
    with pytest.raises(ConnectionResetError):
        await client.reader.readexactly(len(BODY))
    assert proxy.bytes_down == 70_000


async def test_the_end_comes_late_when_closing_is_slow(proxy: FaultProxy, client: Client) -> None:
    await client.say(b"one")
    proxy.set(slow_close_s=0.2)
    client.writer.write(b"end\n")
    assert await took(client.reader.read(-1)) >= 0.2


def test_a_fault_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="latency"):
        FaultProxy("127.0.0.1:1").set(latency=1)


async def test_a_child_process_does_the_same(echo: str) -> None:
    def talk() -> None:
        with faulty_child(echo) as child:
            with socket.create_connection(("127.0.0.1", child.port), timeout=60) as link:
                link.sendall(b"one\n")
                assert link.recv(100) == b"one\n"
                child.set(blackhole=True)
                link.sendall(b"two\n")
                link.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    link.recv(100)
                child.set()
                link.settimeout(60)
                assert link.recv(100) == b"two\n"
                child.reset()
                with pytest.raises(ConnectionResetError):
                    link.recv(100)

    await asyncio.to_thread(talk)
