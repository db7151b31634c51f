"""A small HTTP/2 client (RFC 9113) that sends exactly the path it is given, and reads statuses and bodies."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator, Mapping
from typing import Final

import msgspec

DEADLINE_S = 60.0
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_LARGEST_WINDOW = 2**31 - 1
#: Statuses of HPACK's static table (RFC 7541, appendix A), and the names that are read of answers.
_STATUS: Final = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
_NAMES: Final = {8: ":status", 28: "content-length"}
#: Digits of HPACK's Huffman code (RFC 7541, appendix B).
_DIGITS: Final = {f"{n:05b}": str(n) for n in range(3)} | {f"{0b011001 + n - 3:06b}": str(n) for n in range(3, 10)}


class Answer(msgspec.Struct):
    """One answer; `reset` is the code of a stream that was reset, -1 of one that was not."""

    status: int = 0
    body: bytes = b""
    length: int = -1
    reset: int = -1


class Link:
    """One connection; streams may run side by side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer, self._next = reader, writer, 1
        self._answers: dict[int, tuple[Answer, asyncio.Event]] = {}
        #: Code of the GOAWAY that came; -1: none.
        self.goaway = -1
        self._reading = asyncio.ensure_future(self._read())

    def greet(self) -> None:
        """The preface: no table of headers, and windows so large that nothing waits."""
        self._writer.write(_PREFACE)
        self._frame(SETTINGS, struct.pack(">HIHI", 1, 0, 4, _LARGEST_WINDOW))
        self._frame(WINDOW_UPDATE, struct.pack(">I", _LARGEST_WINDOW - 65535))

    async def ask(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """One request and its answer. An answer of status 0 never came."""
        stream, self._next = self._next, self._next + 2
        answer, done = self._answers[stream] = Answer(), asyncio.Event()
        pairs = {":method": method, ":scheme": "https", ":authority": "edge", ":path": path, **(headers or {})}
        block = b"".join(_literal(name.encode(), value.encode("latin-1")) for name, value in pairs.items())
        self._frame(HEADERS, block, flags=END_HEADERS | (0 if body else END_STREAM), stream=stream)
        if body:
            self._frame(DATA, body, flags=END_STREAM, stream=stream)
        async with asyncio.timeout(DEADLINE_S):
            await done.wait()
        return answer

    async def close(self) -> None:
        """Hang up."""
        self._writer.transport.abort()
        await asyncio.wait([self._reading])

    def _frame(self, kind: int, payload: bytes, *, flags: int = 0, stream: int = 0) -> None:
        head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
        self._writer.write(head + payload)

    async def _read(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await self._reader.readexactly(9)
                payload = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
                self._take(head[3], head[4], stream=int.from_bytes(head[5:], "big"), payload=payload)
        for _, done in self._answers.values():
            done.set()

    def _take(self, kind: int, flags: int, *, stream: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            self._frame(SETTINGS, b"", flags=ACK)
        elif kind == PING and not flags & ACK:
            self._frame(PING, payload, flags=ACK)
        elif kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], "big")
        if stream not in self._answers:
            return
        answer, done = self._answers[stream]
        if kind == HEADERS:
            assert flags & END_HEADERS, "the head of an answer came in several frames"
            found = _heads(payload)
            answer.status, answer.length = int(found[":status"]), int(found.get("content-length", "-1"))
        elif kind == DATA:
            answer.body += payload
            if payload:
                self._frame(WINDOW_UPDATE, struct.pack(">I", len(payload)))
        elif kind == RST_STREAM:
            answer.reset = int.from_bytes(payload, "big")
            done.set()
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            done.set()


@contextlib.asynccontextmanager
async def linked(port: int, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Link]:
    """A connection, over TLS by ALPN or in clear by prior knowledge."""
    if tls is not None:
        tls.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
    )
    if tls is not None:
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    link = Link(reader, writer)
    link.greet()
    try:
        yield link
    finally:
        await link.close()


def _literal(name: bytes, value: bytes) -> bytes:
    """A field that enters no table."""
    return b"\x00" + _integer(len(name)) + name + _integer(len(value)) + value


def _integer(value: int) -> bytes:
    """An HPACK integer of a 7-bit prefix whose first bit is zero."""
    if value < 127:
        return bytes([value])
    out, value = [127], value - 127
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


class _Block:
    """A header block that is read from its start."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def integer(self, bits: int) -> int:
        most = (1 << bits) - 1
        value = self.data[self.at] & most
        self.at += 1
        shift = 0
        while value >= most or shift:
            octet = self.data[self.at]
            self.at += 1
            value += (octet & 127) << shift
            shift += 7
            if octet < 128:
                break
        return value

    def text(self) -> str:
        """A string; of Huffman-coded ones only digits can be told, others are empty."""
        is_coded = bool(self.data[self.at] & 128)
        size = self.integer(7)
        raw = self.data[self.at : self.at + size]
        self.at += size
        return _digits(raw) if is_coded else raw.decode("latin-1")


def _heads(data: bytes) -> dict[str, str]:
    """Status and Content-Length of an answer's header block, which uses no dynamic table."""
    block, found = _Block(data), {}
    while block.at < len(data):
        first = data[block.at]
        if first & 128:
            index = block.integer(7)
            if index in _STATUS:
                found[":status"] = str(_STATUS[index])
        elif first & 224 == 32:
            block.integer(5)
        else:
            index = block.integer(6 if first & 64 else 4)
            name = _NAMES.get(index, "") if index else block.text()
            value = block.text()
            if name:
                found[name] = value
    return found


def _digits(raw: bytes) -> str:
    bits, out, taken = "".join(f"{octet:08b}" for octet in raw), "", ""
    for bit in bits:
        taken += bit
        if taken in _DIGITS:
            out, taken = out + _DIGITS[taken], ""
    return out if not taken.strip("1") and len(taken) < 8 else ""
