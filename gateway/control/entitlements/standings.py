"""Standings kept in Redis for what is shown: one round trip, and forgotten as soon as something behind them changes.

A kept standing says at which epoch of its viewer and of its seller it was read. Whatever changes a right, a block or an
offer leaves by the outbox, and the relay then moves the epoch on; so an entry is stale for as long as the outbox takes,
and for FRESH_S where Redis or the relay lost that. Links are never minted by it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.control.auth import Principal
from gateway.control.catalogue.model import Title
from gateway.control.db import Begin
from gateway.control.entitlements.model import Standing, Stores
from shared.events import Envelope
from shared.ids import new_secret

#: How long an entry is good for when nothing tells otherwise.
FRESH_S = 15
#: How long an epoch is kept; entries that name one which is gone count for nothing.
EPOCH_S = 24 * 3600
#: Events that change how viewers stand, by the fields of their data that say whose epoch moves on.
MOVES = {
    "entitlement.granted": ("principal",),
    "entitlement.revoked": ("principal",),
    "entitlement.started": ("principal",),
    "entitlement.ended": ("principal",),
    "viewer.blocked": ("principal",),
    "viewer.unblocked": ("principal",),
    "offer.changed": ("seller",),
}


class Kept(msgspec.Struct, frozen=True):
    """A standing with the two epochs it was read at."""

    viewer: bytes
    seller: bytes
    standing: Standing


class RedisStandings:
    """The kept standings. fails="open": without Redis the database is asked."""

    def __init__(self, redis: Redis, begin: Begin[Stores]) -> None:
        self._redis, self._begin = redis, begin

    async def of(self, title: Title, viewer: Principal | None) -> Standing:
        """How `viewer` stands to a title, as it is now or was a moment ago. Raises Unavailable without Postgres."""
        principal = viewer.id if viewer else ""
        keys = [place_of(principal, title.id), epoch_of(principal), epoch_of(title.seller)]
        try:
            found: list[Any] = await self._redis.mget(keys)
            kept = msgspec.msgpack.decode(found[0], type=Kept) if found[0] else None
            if kept is not None and [kept.viewer, kept.seller] == list(found[1:]):
                return kept.standing
        except (RedisError, OSError):
            return await self._ask(title, viewer)
        return await self.anew(title, viewer)

    async def anew(self, title: Title, viewer: Principal | None) -> Standing:
        """How `viewer` stands to a title now, and kept from now on. Raises Unavailable without Postgres."""
        principal = viewer.id if viewer else ""
        try:
            # Before the database is asked: what changes after that moves them on.
            epochs = await self._epochs([epoch_of(principal), epoch_of(title.seller)])
            standing = await self._ask(title, viewer)
            entry = msgspec.msgpack.encode(Kept(*epochs, standing=standing))
            await self._redis.set(place_of(principal, title.id), entry, ex=FRESH_S)
        except (RedisError, OSError):
            return await self._ask(title, viewer)
        return standing

    async def _epochs(self, keys: list[str]) -> tuple[bytes, bytes]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.set(key, new_secret(9), nx=True, ex=EPOCH_S)
            pipe.mget(keys)
            viewer, seller = (await pipe.execute())[-1]
        return viewer, seller

    async def _ask(self, title: Title, viewer: Principal | None) -> Standing:
        async with self._begin() as unit:
            return await unit.entitlements.standing(title.id, viewer.id if viewer else None)


def epoch_of(whose: str) -> str:
    """The key of an epoch: of a principal, of a seller, or of all who are not known ("")."""
    return f"epoch:{whose}"


def place_of(principal: str, title: str) -> str:
    """The key of an entry."""
    return f"standing:{principal}:{title}"


def moved(event: Envelope) -> list[str]:
    """The keys of the epochs that an event moves on."""
    return [epoch_of(event.data[field]) for field in MOVES.get(event.type, ()) if field in event.data]
