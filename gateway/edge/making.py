"""What is asked for before it is there: a version that is played while it is made."""

from __future__ import annotations

from gateway.edge.cache import Cache, Found, How
from gateway.edge.resolve import Target
from gateway.edge.session import Session


class Making:
    """Finds objects of versions, also of those that are not finished."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def find(self, session: Session | None, target: Target) -> tuple[Found, How]:
        """The object out of RAM, disk or bucket. Raises NotFound, StoreUnavailable and Refusal."""
        return await self._cache.get(target.key)
