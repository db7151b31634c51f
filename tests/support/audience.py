"""An edge in a process of its own with a restless audience, which writes down every delivery the moment it happens.

Started by `tests.support.ordeal` as `python -m tests.support.audience <part as JSON>`, it opens its book when it
hears Redis. The edge is the shipped wiring; only bytes and tokens are left out, since seats decide before either.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
import time
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from gateway.edge.refusals import Refusal
from gateway.edge.wiring import Edge, running
from shared.settings import EdgeSettings
from shared.tokens import Claims
from tests.support.edge import claims
from tests.support.history import Delivery, Ended, Refused

#: Sessions that the whole audience shares, for each viewer.
SHARED: Final = 5
#: JSON knows no infinity.
NEVER: Final = -1e9


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one edge is told: its name, its Redis, how wrong its clock is, and what it plays."""

    name: str
    redis_url: str
    book: str
    folder: str
    policy: Literal["refuse", "takeover_oldest"]
    ahead_s: float
    cap: int
    lease_s: int
    renew_s: int
    outage_s: int
    viewers: int
    players: int
    seed: int


class Book:
    """Lines of a file, each written at once: a killed process has written all it did."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def write(self, kind: str, entry: Any) -> None:
        os.write(self._file, msgspec.json.encode((kind, entry)) + b"\n")


class Audience:
    """Players who pick a viewer and a session, watch for a while, and end it, forget it, or take a pause."""

    def __init__(self, part: Part, edge: Edge) -> None:
        self._part, self._edge, self._book = part, edge, Book(part.book)
        self._random = random.Random(part.seed)
        self._place = edge.places.of("192.0.2.1", [])
        self._claims: dict[str, Claims] = {}
        self._own = 0

    async def play(self) -> None:
        """One player, for ever."""
        chance = self._random
        takes_over = self._part.policy == "takeover_oldest"
        while True:
            sub = f"viewer-{chance.randrange(self._part.viewers)}"
            await self._watch(self._session(sub, fresh=chance.random() < (0.7 if takes_over else 0.3)))
            await asyncio.sleep(chance.uniform(0.05, 2.0 if takes_over else 0.6))

    async def _watch(self, claims: Claims) -> None:
        """One session until it is refused, ended or left, with a pause now and then."""
        chance = self._random
        while True:
            for _ in range(chance.choice((3, 30, 100, 400))):
                if not await self._fetch(claims):
                    return
                await asyncio.sleep(chance.uniform(0.005, 0.06))
            match chance.choice(("end", "leave", "pause")):
                case "end":
                    self._book.write("end", Ended(self._part.name, claims.sid, time.monotonic()))
                    await self._edge.seats.end(claims)
                    return
                case "leave":
                    return
                case _:
                    await asyncio.sleep(self._part.lease_s + 0.5)

    def _session(self, sub: str, *, fresh: bool) -> Claims:
        if fresh:
            self._own += 1
            sid = f"{sub}-{self._part.name}-{self._own}"
        else:
            sid = f"{sub}-shared-{self._random.randrange(SHARED)}"
        if sid not in self._claims:
            self._claims[sid] = claims(time.time() - 1, sub=sub, sid=sid, cap=self._part.cap)
        return self._claims[sid]

    async def _fetch(self, claims: Claims) -> bool:
        """One segment, as the hot path asks for it; whether the player goes on."""
        seats, at = self._edge.seats, time.monotonic()
        try:
            session = seats.touch(claims, "segment", self._place)
            if session is None:
                session = await seats.admit(claims, self._place)
                at = time.monotonic()
        except Refusal as refusal:
            self._book.write("refused", Refused(claims.sid, time.monotonic(), refusal.code))
            return refusal.code == "seats-unavailable" and self._random.random() < 0.8
        confirmed = max(session.confirmed, NEVER)
        self._book.write("delivered", Delivery(self._part.name, claims.sub, claims.sid, at, confirmed))
        return True


async def perform(part: Part) -> None:
    """Start the edge, let the audience in, and go on until killed."""
    settings = EdgeSettings(
        redis_url=part.redis_url,
        bucket=part.folder,
        jwks_url="",
        jwks_file=Path(part.folder) / "jwks.json",
        log_level="error",
        seats_policy=part.policy,
        seat_lease_s=part.lease_s,
        seat_renew_s=part.renew_s,
        seat_outage_s=part.outage_s,
        seat_end_s=0,
    )
    async with running(settings, now=lambda: time.time() + part.ahead_s) as edge:
        while not edge.watch.is_connected:  # noqa: ASYNC110 - it rings no bell
            await asyncio.sleep(0.02)
        audience = Audience(part, edge)
        await asyncio.gather(*(audience.play() for _ in range(part.players)))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(perform(msgspec.json.decode(sys.argv[1], type=Part)))
