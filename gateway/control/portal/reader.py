"""The portal's settings for pages: read at most every two seconds."""

from __future__ import annotations

from typing import Protocol

from gateway.control.db import Begin
from gateway.control.portal.actions import read_portal
from gateway.control.portal.model import Portal, PortalRows
from shared.clock import Clock

FRESH_S = 2.0


class Stores(Protocol):
    """The part of a transaction that reading needs."""

    @property
    def portal(self) -> PortalRows: ...


class PortalReader:
    """Keeps the portal for two seconds; whoever changes it here calls `forget`."""

    def __init__(self, begin: Begin[Stores], clock: Clock) -> None:
        self._begin, self._clock = begin, clock
        self._kept: Portal | None = None
        self._read_at = 0.0

    async def read(self) -> Portal:
        """The portal, two seconds old at most. Raises Unavailable."""
        if self._kept is None or not 0 <= self._clock.epoch() - self._read_at < FRESH_S:
            now = self._clock.epoch()
            async with self._begin() as unit:
                self._kept, self._read_at = await read_portal(portal=unit.portal), now
        return self._kept

    def forget(self) -> None:
        """Read anew next time."""
        self._kept = None
