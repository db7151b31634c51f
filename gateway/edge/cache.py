"""Objects in RAM: least recently used go first, one fetch however many wait."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from gateway.edge.filling import Filling
from gateway.edge.objects import Filed, Object
from gateway.edge.resolve import is_mutable

#: Seconds a playlist that may still change is served from RAM.
MUTABLE_S = 2.0
#: What an entry costs besides its bytes.
OVERHEAD_BYTES = 512

Found = Object | Filed | Filling
How = Literal["hit", "disk", "miss", "collapsed", "revalidated"]


class Source(Protocol):
    """Where objects come from."""

    async def read(self, key: str) -> Object:
        """The whole object. Raises NotFound or StoreUnavailable."""
        ...


class _Entry(msgspec.Struct, frozen=True):
    object: Object
    until: float


class Cache:
    """Read-through cache with a byte budget. What is not there is never remembered."""

    def __init__(self, source: Source, *, budget_bytes: int, tick: Callable[[], float]) -> None:
        self._source, self._budget, self._tick = source, budget_bytes, tick
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[Object]] = {}
        self.bytes_held = 0

    def held(self, key: str) -> Object | None:
        """The object, if RAM has it."""
        entry = self._entries.get(key)
        if entry is None or self._tick() >= entry.until:
            return None
        self._entries.move_to_end(key)
        return entry.object

    async def get(self, key: str) -> tuple[Object, How]:
        """The object from RAM or its source. Raises what the source raises."""
        if (found := self.held(key)) is not None:
            return found, "hit"
        fetch, how = self._fetching.get(key), "collapsed"
        if fetch is None:
            fetch, how = asyncio.create_task(self._fetch(key)), "miss"
            self._fetching[key] = fetch
            fetch.add_done_callback(lambda done: self._fetched(key, done))
        # The fetch is a task of its own: a viewer who leaves does not end it for the others.
        return await asyncio.shield(fetch), "miss" if how == "miss" else "collapsed"

    def _fetched(self, key: str, done: asyncio.Task[Object]) -> None:
        del self._fetching[key]
        if not done.cancelled():
            done.exception()  # looked at, so that nobody is told of it when all who waited have left

    async def _fetch(self, key: str) -> Object:
        found = await self._source.read(key)
        self._keep(key, found)
        return found

    def _keep(self, key: str, found: Object) -> None:
        self._drop(key)
        cost = found.size + OVERHEAD_BYTES
        if cost > self._budget:
            return
        while self.bytes_held + cost > self._budget:
            self._drop(next(iter(self._entries)))
        until = self._tick() + MUTABLE_S if is_mutable(key) else math.inf
        self._entries[key] = _Entry(found, until)
        self.bytes_held += cost

    def _drop(self, key: str) -> None:
        if (entry := self._entries.pop(key, None)) is not None:
            self.bytes_held -= entry.object.size + OVERHEAD_BYTES
