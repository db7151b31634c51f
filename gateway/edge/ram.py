"""Objects in RAM: a byte budget, and the least recently used go first."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from gateway.edge.objects import Object

#: What an entry costs besides its bytes.
OVERHEAD_BYTES: Final = 512


class Ram:
    """Objects by key. What is above the budget alone is not kept."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._objects: OrderedDict[str, Object] = OrderedDict()
        self.bytes_held = 0

    def held(self, key: str) -> Object | None:
        """The object, now the most recently used one."""
        if (found := self._objects.get(key)) is not None:
            self._objects.move_to_end(key)
        return found

    def keep(self, key: str, found: Object) -> None:
        """Hold `found`, and let go of what was used longest ago."""
        self.drop(key)
        cost = found.size + OVERHEAD_BYTES
        if cost > self._budget:
            return
        while self.bytes_held + cost > self._budget:
            self.drop_oldest()
        self._objects[key] = found
        self.bytes_held += cost

    def drop(self, key: str) -> None:
        """Let go of an object, if it is there."""
        if (found := self._objects.pop(key, None)) is not None:
            self.bytes_held -= found.size + OVERHEAD_BYTES

    def drop_oldest(self) -> bool:
        """Let go of what was used longest ago; False: there is nothing."""
        if not self._objects:
            return False
        self.drop(next(iter(self._objects)))
        return True
