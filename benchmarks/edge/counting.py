"""A bucket that counts: as much of S3 as an edge reads, over a folder, slow to answer on purpose."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

NAME = "bench"
_RANGE = re.compile(r"bytes=(\d+)-(\d*)\Z")


class CountingBucket:
    """`reads` counts GETs by key."""

    def __init__(self, folder: Path, port: int, *, slow_s: float) -> None:
        self._folder, self._port, self._slow_s = folder, port, slow_s
        self.reads: Counter[str] = Counter()

    def settings(self) -> dict[str, str]:
        """What makes an edge read from here."""
        return {
            "bucket": f"s3://{NAME}",
            "s3_endpoint": f"http://127.0.0.1:{self._port}",
            "s3_access_key": "bench",
            "s3_secret_key": "bench",
        }

    async def __aenter__(self) -> CountingBucket:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                method, target, _ = lines[0].split(" ")
                headers = {
                    name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
                }
                writer.write(await self._answer(method, target, headers))
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    async def _answer(self, method: str, target: str, headers: dict[str, str]) -> bytes:
        key = unquote(target.partition("?")[0]).removeprefix(f"/{NAME}/")
        path = self._folder / key
        if method == "GET":
            self.reads[key] += 1
        await asyncio.sleep(self._slow_s)
        if not path.is_file():
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        data = path.read_bytes()
        status, more, body = "200 OK", "", data
        if wanted := _RANGE.match(headers.get("range", "")):
            start, end = int(wanted[1]), min(int(wanted[2] or len(data) - 1), len(data) - 1)
            body, status = data[start : end + 1], "206 Partial Content"
            more = f"Content-Range: bytes {start}-{end}/{len(data)}\r\n"
        head = (
            f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}Accept-Ranges: bytes\r\n"
            f'ETag: "{hashlib.md5(data, usedforsecurity=False).hexdigest()}"\r\n'
            "Last-Modified: Sat, 21 Nov 2026 00:00:00 GMT\r\n\r\n"
        )
        return head.encode() + (b"" if method == "HEAD" else body)
