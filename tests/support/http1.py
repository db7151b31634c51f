"""A connection of HTTP/1.1 under test: its transport with the client behind it, and a stage that answers it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from typing import Any, cast

from gateway.edge.asked import READ
from gateway.edge.bodies import Receive, Send
from gateway.edge.exchange import Exchange, Out
from gateway.edge.http1.connection import Connection
from gateway.edge.http1.server import House
from shared.settings import EdgeSettings

CHUNK = 64 * 1024


class Client(asyncio.Transport):
    """A transport, and the client at its other end: takes all that is written, or what `take` says."""

    def __init__(self) -> None:
        super().__init__()
        self.taken, self._unsent, self._is_quick = bytearray(), bytearray(), True
        self.is_read, self.is_ended, self.is_aborted = True, False, False
        self._is_closing, self._is_paused, self._is_lost = False, False, False
        self.gone = asyncio.Event()
        self.connection: Connection

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.1", 4242) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 64 * 1024 if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.is_ended or self._is_lost:
            raise RuntimeError("written after its end")
        self._unsent += data
        if self._is_quick:
            self._move(len(self._unsent))
        elif len(self._unsent) > self._high and not self._is_paused:
            self._is_paused = True
            self.connection.pause_writing()

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        self.is_ended = True

    def is_closing(self) -> bool:
        return self._is_closing

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def close(self) -> None:
        self._is_closing = True
        if not self._unsent:
            self.lose()

    def abort(self) -> None:
        self._is_closing = self.is_aborted = True
        self.lose()

    # What the client does.

    def stall(self) -> None:
        """Take nothing more."""
        self._is_quick = False

    def take(self, size: int) -> None:
        """Take so many bytes of what waits."""
        self._move(size)
        if self._is_paused and len(self._unsent) <= self._low:
            self._is_paused = False
            self.connection.resume_writing()

    def say(self, data: bytes) -> None:
        assert self.is_read
        self.connection.data_received(data)

    def end(self) -> None:
        """Send no more; whether the connection stays open."""
        if not self.connection.eof_received():
            self.close()

    def lose(self) -> None:
        if not self._is_lost:
            self._is_closing = self._is_lost = True
            self.gone.set()
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    @property
    def is_gone(self) -> bool:
        return self._is_closing

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", bytes(self.taken))]

    @property
    def said(self) -> list[str]:
        """What bodies of answers say: stubs put it in brackets."""
        return [body.decode() for body in re.findall(rb"\[(.*?)\]", bytes(self.taken))]

    def _move(self, size: int) -> None:
        self.taken += self._unsent[:size]
        del self._unsent[:size]


class Session:
    def __init__(self) -> None:
        self.is_over, self.gone = False, ""


class Stage:
    """Playback and the rest: they answer with what was asked, at once or when the test says so."""

    read = READ

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.headers: list[Any] = []
        self.bodies: list[bytes] = []
        self._gates: dict[str, asyncio.Event] = {}
        self.ended: list[str] = []
        #: What `receive` said after answers, and how many pieces of long bodies were handed on.
        self.after: list[str] = []
        self.handed_on = 0
        self.session = Session()

    def at_once(self, exchange: Exchange, out: Out) -> Awaitable[None] | None:
        path = exchange.raw_path.decode()
        name = path.split("/")[3]
        if name == "later":
            return self.answer(exchange)
        self._note(path)
        if name == "fault":
            raise ZeroDivisionError("a fault of ours")
        exchange.session = cast(Any, self.session)
        body = b"[%b]" % path.encode()
        chunks = [body]
        if name == "big":
            size = int(path.split("/")[4])
            chunks = [(body + b"." * CHUNK)[:CHUNK] if not start else b"." * CHUNK for start in range(0, size, CHUNK)]
        length = sum(map(len, chunks))
        put = out.put(b"content-length: %d\r\n\r\n" % length, chunks, length)
        return None if put == len(chunks) else self._hand_on(exchange, chunks[put:])

    async def answer(self, exchange: Exchange) -> None:
        path = exchange.raw_path.decode()
        self._note(path)
        exchange.session = cast(Any, self.session)
        try:
            if "/later/" in path:
                await self._gate(path).wait()
            if exchange.method == "POST":
                await self._read(exchange.receive)
            if "/short" in path:
                await self._break_off(exchange.send)
                return
            if "/fault" in path:
                raise ZeroDivisionError("a fault of ours")
            await self._say(exchange.send, b"[%b]" % path.encode(), 204 if "/nothing" in path else 200)
        finally:
            self.ended.append(path)

    async def rest(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self._note(scope["path"])
        self.headers.append(scope["headers"])
        await self._read(receive)
        await self._say(send, b"[%b]" % scope["path"].encode(), 404)
        self.after.append((await receive())["type"])

    def open(self, path: str) -> None:
        """Let the answers to a path begin."""
        self._gate(path).set()

    def _gate(self, path: str) -> asyncio.Event:
        return self._gates.setdefault(path, asyncio.Event())

    def _note(self, path: str) -> None:
        self.asked.append(path)

    async def _read(self, receive: Receive) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if message["type"] == "http.disconnect" or not message["more_body"]:
                self.bodies.append(body)
                return

    @staticmethod
    async def _say(send: Send, body: bytes, status: int) -> None:
        headers = [] if status == 204 else [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    @staticmethod
    async def _break_off(send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"too short"})

    async def _hand_on(self, exchange: Exchange, chunks: list[bytes]) -> None:
        for number, chunk in enumerate(chunks, 1):
            more = number < len(chunks)
            await exchange.send({"type": "http.response.body", "body": chunk, "more_body": more})
            self.handed_on += 1


class Clock:
    """A clock that stands."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


SETTINGS = EdgeSettings(connections=128, keep_alive_s=75, head_s=15, stall_s=300, stop_s=1)


def client_of(house: House) -> Client:
    client = Client()
    client.connection = Connection(house)
    client.connection.connection_made(client)
    return client


def get(path: str, *fields: str, version: str = "1.1", method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: edge", *fields, "", ""]).encode()


def post(path: str, body: bytes, *fields: str) -> bytes:
    return get(path, f"Content-Length: {len(body)}", *fields, method="POST") + body


def chunked(path: str, *pieces: bytes, trailer: str = "") -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailer.encode() + b"\r\n"
    return get(path, "Transfer-Encoding: chunked", method="POST") + body


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)
