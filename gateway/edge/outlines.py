"""Outlines: what is to come of a version in the making (`grid.json`), read once and remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from gateway.edge.filling import Torn
from gateway.edge.origin import Origin
from gateway.edge.versions import Version
from shared import log
from shared.errors import NotFound, StoreUnavailable
from shared.jobs import Outline
from shared.storage import names

#: Seconds until a version without an outline is asked about again, by one request however many ask.
ASK_AGAIN_S: Final = 1.0
#: Versions whose outline, or lack of one, is known at once.
KNOWN: Final = 1024
#: A title of a day has a tenth of this.
MAX_BYTES: Final = 4 << 20


class Outlines:
    """The outlines of the versions that were asked for last."""

    def __init__(self, origin: Origin, *, tick: Callable[[], float]) -> None:
        self._origin, self._tick = origin, tick
        self._asked: dict[Version, tuple[float, asyncio.Task[Outline | None]]] = {}

    async def of(self, version: Version) -> Outline | None:
        """The outline of a version; None where there is none. Raises StoreUnavailable."""
        at, asking = self._asked.get(version, (0.0, None))
        if asking is None or (_is_in_vain(asking) and self._tick() >= at + ASK_AGAIN_S):
            if len(self._asked) >= KNOWN:
                del self._asked[next(iter(self._asked))]
            asking = asyncio.create_task(self._read(version))
            self._asked[version] = (self._tick(), asking)
        return await asyncio.shield(asking)

    async def _read(self, version: Version) -> Outline | None:
        key = names.outline(version.title, version.name)
        try:
            reading = await self._origin.open(key)
            if reading.size > MAX_BYTES:
                await reading.pieces.aclose()
                raise NotFound(key=key)
            return msgspec.json.decode(b"".join([piece async for piece in reading.pieces]), type=Outline)
        except NotFound:
            return None
        except Torn as error:
            raise StoreUnavailable(key=key) from error
        except msgspec.DecodeError as error:
            log.get("edge").warning("an outline cannot be read", key=key, words=str(error))
            return None


def _is_in_vain(asking: asyncio.Task[Outline | None]) -> bool:
    """Whether the question was answered, and not with an outline."""
    return asking.done() and (asking.cancelled() or asking.exception() is not None or asking.result() is None)
