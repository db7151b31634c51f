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

#: Bytes and number of all fills in flight; more wait for their turn within their deadline.
FLIGHT_BYTES: Final = 128 << 20
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
    """Reads whole objects. The bytes in flight are bounded; slow readers never slow a fill."""

    def __init__(self, origin: Origin, *, tick: Callable[[], float]) -> None:
        self._origin, self._tick = origin, tick
        self._room, self._turns = Room(FLIGHT_BYTES), Room(FLIGHTS)
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
        timeout_s = self._origin.timeout_s
        async with self._turns.taken(1, timeout_s=timeout_s):
            reading = await self._origin.open(order.key, unless=order.unless)
            async with self._room.taken(reading.size, timeout_s=timeout_s):
                return await self._read(order, reading)

    async def _read(self, order: Order, reading: Reading) -> Object:
        filling, is_told = Filling(reading.etag, reading.size), False
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
