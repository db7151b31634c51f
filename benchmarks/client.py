"""A small HTTP/1.1 client for what wrk does not do: answers looked at, requests at set times, slow and idle readers."""

from __future__ import annotations

import asyncio
import resource
import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, read to its end."""

    status: int
    head: bytes
    body: bytes


class Line:
    """One keep-alive connection; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int, tls: ssl.SSLContext | None = None) -> Line:
        """Connect to this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls, limit=1 << 20))

    @property
    def cipher(self) -> str:
        """The TLS cipher suite that was agreed on."""
        agreed = self._writer.get_extra_info("cipher")
        return str(agreed[0]) if agreed else ""

    def ask(self, path: str) -> None:
        """Send a request; the answer is read by `answer`."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())

    async def answer(self) -> Answer:
        """The answer to what was asked. Raises EOFError when the server left."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        return Answer(status, head, await self._reader.readexactly(length))

    async def get(self, path: str) -> Answer:
        """One request and its answer."""
        self.ask(path)
        return await self.answer()

    def close(self) -> None:
        """Leave at once."""
        self._writer.transport.abort()


async def open_lines(port: int, number: int) -> list[Line]:
    """Many connections, a few at a time, so that no backlog overflows."""
    lines: list[Line] = []
    while len(lines) < number:
        lines += await asyncio.gather(*(Line.open(port) for _ in range(min(100, number - len(lines)))))
    return lines


async def visit(port: int, paths: list[str], *, lines: int = 20) -> dict[int, int]:
    """Fetch each path once, a few at a time; how many answers there were by status."""
    todo, seen = iter(paths), dict[int, int]()

    async def work(line: Line) -> None:
        for path in todo:
            status = (await line.get(path)).status
            seen[status] = seen.get(status, 0) + 1
        line.close()

    await asyncio.gather(*(work(line) for line in await open_lines(port, min(lines, len(paths)))))
    return seen


def lift_file_limit(wanted: int = 16_384) -> None:
    """Allow this process, and what it starts, as many descriptors as the hard limit lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    top = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < top:
        resource.setrlimit(resource.RLIMIT_NOFILE, (top, hard))
