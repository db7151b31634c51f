"""The circuit breaker of the bucket: after failures in a row nobody waits, until one probe succeeds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Literal

#: This many failures in a row within WINDOW_S open it.
FAILURES: Final = 5
WINDOW_S: Final = 30.0
#: Open this long before a probe; twice as long after each probe that failed.
OPEN_S, MAX_OPEN_S = 1.0, 8.0

State = Literal["closed", "open", "probing"]


class Breaker:
    """closed → (failures in a row) → open → (time) → probing, by one alone → closed or open again."""

    def __init__(self, *, tick: Callable[[], float]) -> None:
        self._tick = tick
        self._failed: deque[float] = deque(maxlen=FAILURES)
        self._until, self._pause = 0.0, OPEN_S
        self.state: State = "closed"

    def admits(self) -> bool:
        """Whether to ask at all. Who is admitted says afterwards succeeded(), failed() or left()."""
        if self.state == "closed":
            return True
        if self.state == "open" and self._tick() >= self._until:
            self.state = "probing"
            return True
        return False

    def succeeded(self) -> None:
        """There was an answer, if only that there is no such object."""
        self._failed.clear()
        if self.state == "probing":
            self.state, self._pause = "closed", OPEN_S

    def failed(self) -> None:
        """No answer, an error, or half of one."""
        now = self._tick()
        if self.state == "probing":
            self._pause = min(2 * self._pause, MAX_OPEN_S)
            self._open(now)
            return
        self._failed.append(now)
        if self.state == "closed" and len(self._failed) == FAILURES and now - self._failed[0] <= WINDOW_S:
            self._open(now)

    def left(self) -> None:
        """Whoever asked went away before there was an answer: the next may probe."""
        if self.state == "probing":
            self.state = "open"

    def _open(self, now: float) -> None:
        self._failed.clear()
        self.state, self._until = "open", now + self._pause
