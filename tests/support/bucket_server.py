"""A bucket over HTTP that counts what it is asked and fails as it is told: enough of S3 for one who reads."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
from obstore.store import S3Store

_STATUS = {200: "OK", 206: "Partial Content", 304: "Not Modified", 404: "Not Found", 503: "Slow Down"}


class Fault(msgspec.Struct, frozen=True):
    """What goes wrong with one answer."""

    #: The status instead of the right one, with nothing behind it.
    status: int = 0
    #: The connection ends after so many bytes of the body.
    cut_at: int = -1
    #: The answer stops there and nothing more comes.
    stall_at: int = -1
    #: There is no answer at all.
    is_silent: bool = False
    #: Another ETag, and other bytes, than the object's.
    is_other: bool = False


class Asked(msgspec.Struct, frozen=True):
    """One request."""

    method: str
    key: str
    headers: dict[str, str]


class BucketServer:
    """`objects` by key; `faults` by key, one for each request to come."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self.asked: list[Asked] = []
        #: Bytes of bodies are held back until this is set.
        self.let = asyncio.Event()
        self.let.set()
        self.port = 0
        self._serving: set[asyncio.Task[None]] = set()

    def reads(self, key: str, method: str = "GET") -> int:
        """How often an object was asked for."""
        return sum(asked.key == key and asked.method == method for asked in self.asked)

    def store(self, *, retries: int = 0) -> S3Store:
        """A client of this bucket."""
        return S3Store(
            "bucket",
            config={
                "endpoint": f"http://127.0.0.1:{self.port}",
                "region": "us-east-1",
                "access_key_id": "access",
                "secret_access_key": "secret",
            },
            client_options={"allow_http": True, "timeout": timedelta(seconds=30)},
            retry_config={
                "max_retries": retries,
                "retry_timeout": timedelta(seconds=5),
                "backoff": {"init_backoff": timedelta(milliseconds=10)},
            },
        )

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            while await self._answer(await self._hear(reader), writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._serving.discard(task)
            writer.transport.abort() if task.cancelling() else writer.close()

    async def close(self) -> None:
        """End all connections."""
        serving = set(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving)
        await asyncio.sleep(0)

    async def _hear(self, reader: asyncio.StreamReader) -> Asked:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        asked = Asked(method, target.removeprefix("/bucket/"), headers)
        self.asked.append(asked)
        return asked

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        faults = self.faults[asked.key]
        fault = faults.popleft() if faults else Fault()
        body = self.objects.get(asked.key)
        if fault.is_silent:
            await asyncio.Event().wait()
        if fault.is_other and body is not None:
            body = bytes(byte ^ 1 for byte in body)
        if fault.status or body is None:
            return await self._send(writer, fault.status or 404, {}, b"")
        tag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        headers = {"ETag": tag, "Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"}
        if asked.headers.get("if-none-match") == tag:
            return await self._send(writer, 304, headers, b"")
        status, start, size = 200, 0, len(body)
        if (span := asked.headers.get("range")) is not None:
            status, start = 206, int(span.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        headers["Content-Length"] = str(size - start)
        if asked.method == "HEAD":
            return await self._send(writer, status, headers, b"")
        return await self._body(writer, (status, headers), body[start:], fault)

    async def _body(
        self, writer: asyncio.StreamWriter, head: tuple[int, dict[str, str]], body: bytes, fault: Fault
    ) -> bool:
        end = max(fault.cut_at, fault.stall_at)
        await self._send(writer, *head, b"")
        if not self.let.is_set():
            writer.write(body[: len(body) // 2])
            await writer.drain()
            await self.let.wait()
            body = body[len(body) // 2 :]
        writer.write(body if end < 0 else body[:end])
        await writer.drain()
        if fault.stall_at >= 0:
            await asyncio.Event().wait()
        return end < 0

    async def _send(self, writer: asyncio.StreamWriter, status: int, headers: dict[str, str], body: bytes) -> bool:
        lines = [f"HTTP/1.1 {status} {_STATUS[status]}", *(f"{name}: {value}" for name, value in headers.items())]
        if "Content-Length" not in headers and status != 304:
            lines.append(f"Content-Length: {len(body)}")
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        return True


@contextlib.asynccontextmanager
async def bucket_server() -> AsyncIterator[BucketServer]:
    """A bucket on a free port of this machine."""
    bucket = BucketServer()
    server = await asyncio.start_server(bucket.answer, "127.0.0.1", 0)
    bucket.port = server.sockets[0].getsockname()[1]
    try:
        yield bucket
    finally:
        server.close()
        await bucket.close()
