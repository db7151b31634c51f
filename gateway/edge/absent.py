"""Names that the bucket does not hold, remembered for seconds so that asking again and again costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: Seconds a name stays known to be absent, and how many are known at once.
ABSENT_S: Final = 3.0
NAMES: Final = 4096


class Absent:
    """Only for names of finished versions: nothing is added to those any more."""

    def __init__(self, *, tick: Callable[[], float]) -> None:
        self._tick = tick
        self._until: dict[str, float] = {}

    def holds(self, key: str) -> bool:
        """Whether the bucket said a moment ago that there is no such object."""
        until = self._until.get(key)
        if until is None:
            return False
        if self._tick() < until:
            return True
        del self._until[key]
        return False

    def add(self, key: str) -> None:
        """The bucket said so now. The oldest name makes room."""
        self._until.pop(key, None)
        if len(self._until) >= NAMES:
            del self._until[next(iter(self._until))]
        self._until[key] = self._tick() + ABSENT_S
