"""Versions: what a key in the bucket belongs to, and whether all of it is there (`ready.json`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from shared.errors import StoreUnavailable
from shared.storage import names

#: Seconds until an unfinished version is asked about again, by one request however many ask.
ASK_AGAIN_S: Final = 1.0
#: Versions known at once.
KNOWN: Final = 16_384


class Version(NamedTuple):
    """A version of a title."""

    title: str
    name: str


class Store(Protocol):
    """Where `ready.json` lies."""

    async def has(self, key: str) -> bool:
        """Whether there is such an object. Raises StoreUnavailable."""
        ...


def version_of(key: str) -> Version | None:
    """The version a key belongs to; None for playlists of editions and all that is in no version."""
    parts = key.split("/", 3)
    if len(parts) < 4 or parts[0] != "v" or parts[2] == "e":
        return None
    return Version(parts[1], parts[2])


def may_change(key: str) -> bool:
    """Whether the bytes behind a key change while its version is unfinished: media playlists alone."""
    return key.endswith("/index.m3u8") and version_of(key) is not None


class Versions:
    """Which versions are ready: once yes, always yes."""

    def __init__(self, store: Store, *, tick: Callable[[], float]) -> None:
        self._store, self._tick = store, tick
        self._ready: dict[Version, None] = {}
        self._asked: dict[Version, tuple[float, asyncio.Task[bool]]] = {}

    def known(self, version: Version | None) -> bool:
        """Whether a version is known to be ready, without asking."""
        return version in self._ready

    async def is_ready(self, version: Version | None) -> bool:
        """Whether a version is ready; what cannot be learnt now is not."""
        if version is None or version in self._ready:
            return version is not None
        at, asking = self._asked.get(version, (0.0, None))
        if asking is None or (asking.done() and self._tick() >= at + ASK_AGAIN_S):
            asking = asyncio.create_task(self._ask(version))
            _bound(self._asked)
            self._asked[version] = (self._tick(), asking)
        return await asyncio.shield(asking)

    async def _ask(self, version: Version) -> bool:
        try:
            ready = await self._store.has(names.ready(version.title, version.name))
        except StoreUnavailable:
            return False
        if ready:
            _bound(self._ready)
            self._ready[version] = None
        return ready


def _bound(known: dict[Version, Any]) -> None:
    """Forget the oldest where there are too many."""
    if len(known) >= KNOWN:
        del known[next(iter(known))]
