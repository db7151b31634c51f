"""The HTTP client of webhooks: it connects only to addresses that were checked, and waits for no receiver long."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from gateway.control.webhooks import addresses
from gateway.control.webhooks.model import Answer
from shared.errors import Invalid

#: A try, with all its redirects, takes no longer; connecting (with TLS) a part of that.
TOTAL_S, CONNECT_S = 10.0, 5.0
#: Redirects that keep method and body are followed so often; others never.
REDIRECTS, SAME_REQUEST = 3, (307, 308)
#: Names that are looked up at once, in threads of their own: a slow name server holds up nobody else.
LOOKUPS = 16
#: Bytes that may wait unread; of a body nothing is read at all.
BUFFER_BYTES = 16 << 10

#: Finds all IP addresses of a host, in a thread. Raises OSError.
Lookup = Callable[[str, int], list[str]]


class NotAllowed(OSError):
    """A name leads where webhooks are not sent."""


class CheckedResolver(AbstractResolver):
    """Looks a name up once and gives what was checked: the connection goes to these addresses, not to the name."""

    def __init__(self, lookup: Lookup, *, loopback: bool) -> None:
        self._lookup, self._loopback = lookup, loopback
        self._threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """All addresses of a host. Raises NotAllowed where one of them is not public."""
        found = await asyncio.get_running_loop().run_in_executor(self._threads, self._lookup, host, port)
        name = host.rstrip(".").lower()
        if not found or not all(addresses.may_reach(name, one, loopback=self._loopback) for one in found):
            raise NotAllowed("Its name leads to an address that is not public.")
        return [
            ResolveResult(
                hostname=host,
                host=one,
                port=port,
                family=socket.AF_INET6 if ":" in one else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for one in found
        ]

    async def close(self) -> None:
        """Waits for no lookup that is under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class HttpSender:
    """Sends webhooks. `loopback`: this machine may be a receiver, by HTTP too."""

    def __init__(self, session: aiohttp.ClientSession, *, loopback: bool) -> None:
        self._session, self.loopback = session, loopback

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One try, following redirects that are checked as the address itself was. Never raises."""
        try:
            async with asyncio.timeout(TOTAL_S):
                return await self._send(url, headers, body)
        except Invalid as error:
            return Answer(0, str(error))
        except TimeoutError:
            return Answer(0, f"No answer within {TOTAL_S:.0f} s.")
        except aiohttp.ClientConnectorError as error:
            refused = isinstance(error.os_error, NotAllowed)
            return Answer(0, str(error.os_error) if refused else f"No connection: {_cause(error.os_error)}")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(0, f"No answer: {_cause(error)}")

    async def _send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        for _ in range(REDIRECTS + 1):
            target = addresses.read(url, loopback=self.loopback)
            async with self._session.post(
                URL(target.url, encoded=True), data=body, headers=headers, allow_redirects=False
            ) as answer:
                status, location = answer.status, answer.headers.get("location", "")
                answer.close()  # what it says besides is not read
            if status not in SAME_REQUEST or not location:
                return Answer(status, "" if 200 <= status < 300 else _refusal(status))
            url = urljoin(url, location)
        return Answer(status, f"It was redirected more than {REDIRECTS} times.")


@asynccontextmanager
async def open_sender(*, loopback: bool, lookup: Lookup | None = None) -> AsyncIterator[HttpSender]:
    """A sender; it keeps no connection, cookie or name, and asks no proxy of the environment."""
    connector = aiohttp.TCPConnector(
        resolver=CheckedResolver(lookup or look_up, loopback=loopback), use_dns_cache=False, force_close=True, limit=0
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=TOTAL_S, connect=CONNECT_S),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=BUFFER_BYTES,
    )
    async with session:
        try:
            yield HttpSender(session, loopback=loopback)
        finally:
            await connector.close()


def look_up(host: str, port: int) -> list[str]:
    """All addresses of a host by the system's resolver; blocks. Raises OSError."""
    found: list[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def _refusal(status: int) -> str:
    if 300 <= status < 400:
        return f"It answered {status}; only redirects by 307 and 308 are followed."
    return f"It answered {status}."


def _cause(error: BaseException) -> str:
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split())[:200]
