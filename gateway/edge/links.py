"""Connections to Redis whose end is always told as an error of Redis, whichever event loop runs."""

from __future__ import annotations

from collections.abc import Iterable

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected


class _Telling:
    """uvloop raises RuntimeError where something is written to a connection that its peer has reset."""

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool | None = True
    ) -> None:
        try:
            await super().send_packed_command(command, check_health)  # type: ignore[misc]
        except RuntimeError as error:
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]
            raise Disconnected("The connection was reset.") from error


class _Plain(_Telling, Connection):
    """Over TCP."""


class _Sealed(_Telling, SSLConnection):
    """Over TLS."""


def client(url: str, *, connections: int, timeout_s: float) -> Redis:
    """A client that fails fast: one try more for a connection that died while it was idle."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        socket_timeout=timeout_s,
        retry=Retry(NoBackoff(), 1),
    )
    if issubclass(pool.connection_class, SSLConnection):
        pool.connection_class = _Sealed
    elif pool.connection_class is Connection:
        pool.connection_class = _Plain
    return Redis.from_pool(pool)
