"""Fills: objects read from the bucket, handed on from their first piece, and kept only when they are whole."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from gateway.edge import heads
from gateway.edge.filling import Filling, Torn
from gateway.edge.objects import CHUNK_BYTES, Object
from gateway.edge.origin import DEADLINES, Origin, Reading, Unchanged
from gateway.edge.room import Room
from shared import log, metrics
from shared.errors import NotFound, StoreUnavailable

#: Fills at once; more wait for their turn within their deadline, as they do for room.
FLIGHTS: Final = 64
#: Pauses before a fill that broke off is begun anew, as long as nobody has got a byte of it.
PAUSES_S: Final = (0.1, 0.4)

Outcome = Literal["whole", "unchanged", "absent", "torn", "failed"]
_OUTCOMES: Final[dict[type[BaseException], Outcome]] = {Unchanged: "unchanged", NotFound: "absent", Torn: "torn"}


class Order(msgspec.Struct, frozen=True):
    """What to read; `begun` is told when the first piece is there; Unchanged where the ETag still is `unless`."""

    key: str
    begun: Callable[[Filling], None]
    unless: str = ""


class Fills:
    """Reads whole objects, as far as there is `room` for them; slow readers never slow a fill."""

    def __init__(self, origin: Origin, *, room: Room, tick: Callable[[], float]) -> None:
        self._origin, self._room, self._tick = origin, room, tick
        self._turns = asyncio.Semaphore(FLIGHTS)
        self.in_flight = 0

    async def object(self, order: Order) -> Object:
        """The whole object. Raises NotFound, StoreUnavailable, Unchanged; Torn once `begun` was told."""
        begin, outcome = self._tick(), "whole"
        self.in_flight += 1
        try:
            async with asyncio.timeout(DEADLINES * self._origin.timeout_s):
                return await self._insist(order)
        except TimeoutError as error:
            outcome = "failed"
            raise StoreUnavailable(key=order.key) from error
        except BaseException as error:
            outcome = _OUTCOMES.get(type(error), "failed")
            raise
        finally:
            self.in_flight -= 1
            metrics.EDGE_ORIGIN_SECONDS.labels(outcome).observe(self._tick() - begin)

    async def _insist(self, order: Order) -> Object:
        for pause in PAUSES_S:
            try:
                return await self._attempt(order)
            except _Early:
                await asyncio.sleep(pause)
        try:
            return await self._attempt(order)
        except _Early as error:
            raise StoreUnavailable(key=order.key) from error

    async def _attempt(self, order: Order) -> Object:
        async with asyncio.timeout(self._origin.timeout_s):
            await self._turns.acquire()
        try:
            reading = await self._origin.open(order.key, unless=order.unless)
            lease = await self._room.lease(reading.size, timeout_s=self._origin.timeout_s)
            return await self._read(order, reading, Filling(reading.etag, reading.size, lease))
        finally:
            self._turns.release()

    async def _read(self, order: Order, reading: Reading, filling: Filling) -> Object:
        is_told = False
        try:
            async with contextlib.aclosing(reading.pieces) as pieces:
                async for piece in pieces:
                    filling.add(piece)
                    if not is_told and reading.size > CHUNK_BYTES:
                        _examine(order.key, piece)
                        order.begun(filling)
                        is_told = True
            found = filling.whole()
            if not is_told:
                _examine(order.key, found.chunks[0] if found.chunks else b"")
        except BaseException as error:
            filling.tear()
            if isinstance(error, Torn) and not is_told:
                raise _Early from error
            raise
        return found


class _Early(Exception):
    """The body broke off before anybody got a byte of it: begin anew."""


def _examine(key: str, head: bytes) -> None:
    """Refuse a body that is not what its name says, before anybody gets a byte of it. Raises StoreUnavailable."""
    if heads.belies(key, head):
        log.get("edge").warning("the bucket sent something else", key=key, head=head[:16].hex())
        raise StoreUnavailable(key=key)
