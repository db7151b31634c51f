"""One request on its way: what was asked, by whom, and how it is answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from gateway.edge.asked import READ, Asked
from gateway.edge.bodies import Receive, Send
from gateway.edge.http1.heads import Header
from gateway.edge.session import Session
from shared.tokens import Claims


class Out(Protocol):
    """A connection that takes bodies as they lie in the cache, and queues no more of them than it is given."""

    is_lost: bool

    def put(self, fields: bytes, chunks: Sequence[bytes], size: int) -> int:
        """Write an answer of status 200 and as many pieces of its body as the client takes now; the number of those."""
        ...


class Exchange:
    """One request and the way back to its client: `receive` and `send` as ASGI has them, `out` where there is more."""

    __slots__ = (
        *("asked", "claims", "client", "is_started", "method", "out", "peer", "query"),
        *("raw_path", "receive", "send", "session", "timing", "version"),
    )
    receive: Receive
    send: Send

    def __init__(
        self,
        *,
        method: str,
        raw_path: bytes,
        query: bytes,
        headers: Iterable[Header],
        client: tuple[str, int] | None,
        version: str,
        read: frozenset[bytes] = READ,
        out: Out | None = None,
    ) -> None:
        self.method, self.raw_path, self.query, self.version = method, raw_path, query, version
        self.client, self.out = client, out
        self.peer = client[0] if client else ""
        self.asked = Asked(headers, read)
        self.is_started, self.timing = False, ""
        #: What a genuine token said, and whose bytes these are, once that is known.
        self.claims: Claims | None = None
        self.session: Session | None = None

    @classmethod
    def of(cls, scope: dict[str, Any], receive: Receive, send: Send, *, read: frozenset[bytes]) -> Exchange:
        """A request as ASGI tells it."""
        exchange = cls(
            method=scope["method"],
            raw_path=scope.get("raw_path") or scope["path"].encode(),
            query=scope["query_string"],
            headers=scope["headers"],
            client=scope["client"],
            version=scope["http_version"],
            read=read,
        )
        exchange.receive, exchange.send = receive, send
        return exchange
