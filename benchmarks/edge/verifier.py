"""What nginx asks for each request on the other side: our token check at its cheapest, and nothing else.

Raw RSGI on granian and uvloop. A token's signature is checked once; a seat lease of 5 s is renewed in the background,
all that are due in one pipeline, and the cap itself is not even counted.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from gateway.edge import gate, keyring
from gateway.edge.refusals import Refusal
from shared.tokens import Claims

LEASE_S, FLUSH_S, SIZE = 5.0, 0.1, 65_536
JWKS_FILE, REDIS_URL = "BENCH_JWKS_FILE", "BENCH_REDIS_URL"


class Lease:
    """A verified token and until when its seat is held."""

    __slots__ = ("claims", "until")

    def __init__(self, claims: Claims) -> None:
        self.claims, self.until = claims, 0.0


class Verifier:
    """Answers 200 or a refusal, without a body."""

    def __init__(self, jwks: bytes, redis: Redis) -> None:
        self._keys = keyring.parse(jwks).keys
        self._redis = redis
        self._leases: OrderedDict[str, Lease] = OrderedDict()
        self._due: list[str] = []
        self._flushing: asyncio.Task[None] | None = None

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._flushing = loop.create_task(self._flush())

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        token, _, path = scope.path[3:].partition("/")
        try:
            lease = self._leases.get(token)
            if lease is None:
                lease = self._leases[token] = Lease(gate.verify(token, self._keys))
                if len(self._leases) > SIZE:
                    self._leases.popitem(last=False)
            else:
                self._leases.move_to_end(token)
        except Refusal as refused:
            protocol.response_empty(refused.status, [])
            return
        now = time.time()
        if now >= lease.claims.hmx or not path.startswith(lease.claims.scope):
            protocol.response_empty(403, [])
            return
        if now >= lease.until:
            lease.until = now + LEASE_S
            self._due.append(lease.claims.sid)
        protocol.response_empty(200, [])

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            if self._due:
                due, self._due = self._due, []
                until = time.time() + LEASE_S
                await self._redis.zadd("seat:{bench}", dict.fromkeys(due, until))


def create_app() -> Verifier:
    """What granian serves (`--factory`)."""
    return Verifier(Path(os.environ[JWKS_FILE]).read_bytes(), Redis.from_url(os.environ[REDIS_URL]))
