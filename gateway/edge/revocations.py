"""What control or another edge has ended: titles, viewers and sessions, up to which minting time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec
from redis.asyncio import Redis

from gateway.edge.refusals import TABLE, Refusal
from shared.events import REVOKED, Push
from shared.tokens import Claims

#: Longer than any token lives.
KEEP_S: Final = 7 * 86400


def title_of(claims: Claims) -> str:
    """The title of the scope `v/<title>/`."""
    return claims.scope.split("/")[1]


class Revocations:
    """The revocations known here. `version` grows with each change, so a session knows when to look again."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, str]] = {}
        self.version = 0

    def apply(self, push: Push) -> None:
        """Take in one message. Safe to repeat; an earlier one never takes back a later one."""
        field = f"{push.kind}:{push.key}"
        if push.iat > self._held.get(field, (-1, ""))[0]:
            self._held[field] = push.iat, push.reason if push.reason in TABLE else "revoked"
            self.version += 1

    def add(self, held: Mapping[str, int]) -> None:
        """Take in what Redis holds, after a time in which messages may have been lost. A Redis that forgot takes
        nothing back."""
        for field, iat in held.items():
            kind, _, key = field.partition(":")
            if kind in ("title", "sub", "sid"):
                self.apply(msgspec.convert({"kind": kind, "key": key, "iat": iat}, Push))

    async def write_back(self, redis: Redis) -> None:
        """Tell a Redis that forgot what is known here. What it was told since stays. Raises redis.RedisError."""
        pipe = redis.pipeline(transaction=False)
        for field, (iat, _) in self._held.items():
            pipe.hsetnx(REVOKED, field, str(iat))
        if self._held:
            await pipe.execute()

    def sweep(self, now: float) -> None:
        """Forget what ended tokens that have ended by themselves since."""
        self._held = {field: entry for field, entry in self._held.items() if entry[0] > now - KEEP_S}

    def check(self, claims: Claims) -> None:
        """Raise the Refusal of a token that is over."""
        for field in (f"title:{title_of(claims)}", f"sub:{claims.sub}", f"sid:{claims.sid}"):
            iat, reason = self._held.get(field, (-math.inf, ""))
            if claims.iat <= iat:
                raise Refusal(reason)
