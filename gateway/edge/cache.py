"""The cache: RAM, then disk, then the bucket; one fetch however many wait, handed on while it arrives."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Final, Literal

from gateway.edge.absent import Absent
from gateway.edge.disk import Disk
from gateway.edge.filling import Filling
from gateway.edge.fills import Fills, Order
from gateway.edge.objects import Filed, Object
from gateway.edge.origin import Origin, Unchanged
from gateway.edge.ram import Ram
from gateway.edge.room import Room
from gateway.edge.versions import Versions, may_change, version_of
from shared.errors import NotFound

#: Seconds a playlist of an unfinished version is fresh, and may be served after that while one request renews it.
FRESH_S: Final = 1.0
STALE_S: Final = 1.0
#: Bytes beyond the budget of RAM for what is on its way, and for what was evicted while slow readers hold it.
FLIGHT_BYTES: Final = 128 << 20
#: Files read into RAM at once because they are wanted again.
PROMOTED: Final = 4

Found = Object | Filed | Filling
How = Literal["hit", "disk", "miss", "collapsed", "revalidated"]


class _Flight:
    """One search for a key. `begun` is what all who wait get; the flight may go on after that."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.begun: asyncio.Future[tuple[Found, How]] = asyncio.get_running_loop().create_future()

    def begin(self, found: Found, how: How) -> None:
        if not self.begun.done():
            self.begun.set_result((found, how))

    def fail(self, error: BaseException) -> None:
        if not self.begun.done():
            self.begun.set_exception(error)
            self.begun.exception()  # looked at, so that nobody is told of it when all who waited have left


class Cache:
    """Read-through, with byte budgets. What is not whole or not there is never kept."""

    def __init__(
        self, origin: Origin, *, budget_bytes: int, tick: Callable[[], float], disk: Disk | None = None
    ) -> None:
        self._ram, self._disk, self._tick = Ram(budget_bytes), disk, tick
        self.room = Room(budget_bytes + FLIGHT_BYTES, make_room=self._make_room)
        self.fills = Fills(origin, room=self.room, tick=tick)
        self._versions, self._absent = Versions(origin, tick=tick), Absent(tick=tick)
        self._flights: dict[str, _Flight] = {}
        self._promoted: set[str] = set()
        self._work: set[asyncio.Task[None]] = set()

    @property
    def bytes_held(self) -> int:
        """Bytes in RAM."""
        return self._ram.bytes_held

    def held(self, key: str) -> Object | None:
        """The object, if RAM has it and it is fresh."""
        found = self._ram.held(key)
        if found is None or found.fresh_until == math.inf or self._tick() < found.fresh_until:
            return found
        return None

    def is_final(self, key: str) -> bool:
        """Whether all of the version that a key belongs to is known to be there: nothing is added to it any more."""
        return self._versions.known(version_of(key))

    async def get(self, key: str) -> tuple[Found, How]:
        """The object, a file that holds it, or what has arrived of it. Raises NotFound or StoreUnavailable."""
        stale = self._ram.held(key)
        if stale is not None:
            late_s = self._tick() - stale.fresh_until
            if late_s >= 0 and key not in self._flights:
                self._depart(key)
            if late_s < STALE_S:
                return stale, "hit"
        elif self._absent.holds(key):
            raise NotFound(key=key)
        elif (filed := self._at_hand(key)) is not None:
            return filed, "disk"
        if (flight := self._flights.get(key)) is None:
            return await asyncio.shield(self._depart(key).begun)
        found, how = await asyncio.shield(flight.begun)
        return found, "collapsed" if how == "miss" else how

    async def close(self) -> None:
        """End all work. Who still waits is cancelled."""
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        if self._disk is not None:
            await self._disk.close()

    def _depart(self, key: str) -> _Flight:
        """Search in a task of its own: a viewer who leaves does not end it for the others."""
        flight = self._flights[key] = _Flight(key)
        self._start(self._fly(flight))
        return flight

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _fly(self, flight: _Flight) -> None:
        try:
            flight.begin(*await self._find(flight))
        except Exception as error:
            flight.fail(error)  # or its readers know, from the Filling
        except BaseException:
            flight.begun.cancel()
            raise
        finally:
            del self._flights[flight.key]

    async def _find(self, flight: _Flight) -> tuple[Found, How]:
        stale = self._ram.held(flight.key)
        if stale is not None:
            return await self._renew(flight, stale), "revalidated"
        if self._disk is not None and (found := await self._disk.find(flight.key)) is not None:
            if isinstance(found, Object):
                self._ram.keep(flight.key, found)
            return found, "disk"
        return await self._fetch(flight), "miss"

    async def _fetch(self, flight: _Flight) -> Object:
        key, version = flight.key, version_of(flight.key)
        # Asked before the bytes are read: those of a ready version are final.
        was_ready = await self._versions.is_ready(version) if may_change(key) else self._versions.known(version)
        try:
            found = await self.fills.object(Order(key, lambda filling: flight.begin(filling, "miss")))
        except NotFound:
            if was_ready:
                self._absent.add(key)
            elif await self._versions.is_ready(version):
                return await self._fetch(flight)  # it may have come between the two questions
            raise
        self._keep(key, found, is_final=was_ready or not may_change(key))
        return found

    async def _renew(self, flight: _Flight, stale: Object) -> Object:
        """A playlist that may have changed; it is final when its version was ready before it was read."""
        is_ready = await self._versions.is_ready(version_of(flight.key))
        order = Order(flight.key, lambda filling: flight.begin(filling, "revalidated"), unless=stale.etag)
        try:
            found = await self.fills.object(order)
        except Unchanged:
            found = stale
        except NotFound:
            self._ram.drop(flight.key)
            raise
        self._keep(flight.key, found, is_final=is_ready)
        return found

    def _keep(self, key: str, found: Object, *, is_final: bool) -> None:
        found.fresh_until = math.inf if is_final else self._tick() + FRESH_S
        self._ram.keep(key, found)
        if is_final and self._disk is not None:
            self._disk.keep(key, found)

    def _make_room(self, wanted: int) -> None:
        while self.room.free < wanted and self._ram.drop_oldest():
            pass

    def _at_hand(self, key: str) -> Filed | None:
        hit = self._disk.at_hand(key) if self._disk is not None else None
        if hit is None:
            return None
        filed, is_again = hit
        if is_again and key not in self._promoted and len(self._promoted) < PROMOTED:
            self._promoted.add(key)
            self._start(self._promote(key, filed.size))
        return filed

    async def _promote(self, key: str, size: int) -> None:
        """Read a file into RAM: it is wanted again and again."""
        try:
            lease = self.room.lease_now(size)
            if lease and self._disk is not None and (found := await self._disk.read(key)) is not None:
                found.lease = lease
                self._ram.keep(key, found)
        finally:
            self._promoted.discard(key)
