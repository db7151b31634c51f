"""Players on real sockets: HTTP/1.1 with kept connections, every body held against the film it is of."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

import msgspec

from tests.support.films import Film

#: One request may take this long; a server that is silent for longer has failed.
DEADLINE_S = 60.0
READ_BYTES = 65536


class Answer(msgspec.Struct, kw_only=True):
    """One answer as it came: `body` is empty where only its digest was wanted."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    size: int = 0
    sha256: str = ""
    first_byte_s: float = 0.0
    took_s: float = 0.0

    @property
    def closes(self) -> bool:
        return self.headers.get("connection", "").lower() == "close"


class Cut(Exception):
    """The connection ended before the answer did. `status` is 0 where not even the head came."""

    def __init__(self, status: int = 0, size: int = 0) -> None:
        super().__init__(f"cut after {size} bytes of a {status}")
        self.status, self.size = status, size


class Link:
    """One connection. Raises Cut for an answer that does not end as its head said."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @property
    def is_over(self) -> bool:
        """Whether the server has closed it."""
        return self.reader.at_eof() or self.writer.is_closing()

    async def ask(
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """One request, and the whole of its answer."""
        await self.send(method, target, headers=headers, body=body)
        return await self.answer(method)

    async def send(
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        """Write a request; its answer is read by `answer`, in the order of requests."""
        lines = [f"{method} {target} HTTP/1.1", "Host: edge", *(f"{k}: {v}" for k, v in (headers or {}).items())]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    async def answer(self, method: str = "GET", *, keep: bool = True) -> Answer:
        """Read one answer to its end; its body is kept if `keep`."""
        async with asyncio.timeout(DEADLINE_S):
            began = time.perf_counter()
            head = await self.head()
            head.first_byte_s = time.perf_counter() - began
            if method != "HEAD" and head.status >= 200 and head.status not in (204, 304):
                await self._body(head, keep=keep)
            head.took_s = time.perf_counter() - began
            return head

    async def head(self) -> Answer:
        """Status and headers; the body stays unread."""
        try:
            raw = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Cut from error
        first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        return Answer(status=int(first.split(" ")[1]), headers=headers)

    async def _body(self, answer: Answer, *, keep: bool) -> None:
        digest, pieces = hashlib.sha256(), []
        async for piece in self._pieces(answer):
            digest.update(piece)
            answer.size += len(piece)
            if keep:
                pieces.append(piece)
        answer.body, answer.sha256 = b"".join(pieces), digest.hexdigest()

    async def _pieces(self, answer: Answer) -> AsyncIterator[bytes]:
        if "chunked" in answer.headers.get("transfer-encoding", ""):
            while size := int(await self._line(answer), 16):
                async for piece in self._exactly(size, answer):
                    yield piece
                await self._line(answer)
            await self._line(answer)
            return
        async for piece in self._exactly(int(answer.headers["content-length"]), answer):
            yield piece

    async def _exactly(self, size: int, answer: Answer) -> AsyncIterator[bytes]:
        while size:
            try:
                piece = await self.reader.read(min(size, READ_BYTES))
            except OSError as error:
                raise Cut(answer.status, answer.size) from error
            if not piece:
                raise Cut(answer.status, answer.size)
            size -= len(piece)
            yield piece

    async def _line(self, answer: Answer) -> bytes:
        line = await self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise Cut(answer.status, answer.size)
        return line.strip()

    def close(self) -> None:
        """Hang up at once."""
        self.writer.transport.abort()


async def connect(port: int, *, source: str = "", tls: ssl.SSLContext | None = None, limit: int = READ_BYTES) -> Link:
    """A connection to the edge, from the loopback address `source` where one is given."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1",
        port,
        limit=limit,
        local_addr=(source, 0) if source else None,
        ssl=tls,
        server_hostname="localhost" if tls else None,
    )
    return Link(reader, writer)


@asynccontextmanager
async def linked(port: int, *, source: str = "", tls: ssl.SSLContext | None = None) -> AsyncIterator[Link]:
    """A connection that is hung up at the end."""
    link = await connect(port, source=source, tls=tls)
    try:
        yield link
    finally:
        link.close()


class Fetched(msgspec.Struct, frozen=True):
    """One request of a player. `status` is 0 where no answer came, `is_right` where every byte was the film's."""

    key: str
    status: int
    is_right: bool
    is_cut: bool
    at: float
    first_byte_s: float
    took_s: float


class Player:
    """Plays a film over one kept connection, opened anew where the server closed it. `port` may change any time."""

    def __init__(self, film: Film, token: str, port: Callable[[], int], *, source: str = "") -> None:
        self.film, self.token, self._port, self._source = film, token, port, source
        self._link: Link | None = None
        #: The port it is connected to; 0: to none.
        self.at = 0
        self.fetched: list[Fetched] = []

    async def play(self, keys: Iterable[str], *, pace_s: float = 0.0) -> None:
        """Fetch these keys one after the other, one each `pace_s` at most."""
        for key in keys:
            began = time.perf_counter()
            await self.fetch(key)
            await asyncio.sleep(max(0.0, pace_s - (time.perf_counter() - began)))
        self.close()

    async def fetch(self, key: str) -> Fetched:
        """One object; what came of it is noted."""
        began, at = time.perf_counter(), time.time()
        answer, is_cut, status = None, False, 0
        try:
            link = await self._linked()
            await link.send("GET", f"/t/{self.token}/{key}")
            answer = await link.answer(keep=False)
            status = answer.status
            if answer.closes:
                self.close()
        except Cut as cut:
            is_cut, status = True, cut.status
            self.close()
        except (OSError, TimeoutError):
            self.close()
        self.fetched.append(
            Fetched(
                key=key,
                status=status,
                is_right=answer is not None and status == 200 and answer.sha256 == self.film.digests[key],
                is_cut=is_cut,
                at=at,
                first_byte_s=answer.first_byte_s if answer else 0.0,
                took_s=time.perf_counter() - began,
            )
        )
        return self.fetched[-1]

    def close(self) -> None:
        """Hang up."""
        if self._link is not None:
            self._link.close()
            self._link, self.at = None, 0

    async def _linked(self) -> Link:
        if self._link is None or self._link.is_over:
            self.close()
            self.at = self._port()
            self._link = await connect(self.at, source=self._source)
        return self._link


def wrong(fetched: Iterable[Fetched]) -> list[Fetched]:
    """Complete 200s whose bytes are not the film's: there must never be one."""
    return [one for one in fetched if one.status == 200 and not one.is_cut and not one.is_right]


def failed(fetched: Iterable[Fetched]) -> list[Fetched]:
    """Requests that did not end in the right bytes."""
    return [one for one in fetched if not one.is_right]


def percentile(values: Iterable[float], part: float) -> float:
    """The value below which `part` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
