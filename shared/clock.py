"""Time as an argument: a Clock gives now; tests hand in one they move by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Wall time. `now()` is aware UTC, `epoch()` the same instant in seconds since 1970."""

    def now(self) -> datetime: ...

    def epoch(self) -> float: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def epoch(self) -> float:
        return self.now().timestamp()


class ManualClock:
    """A clock that stands still until a test calls `advance`."""

    def __init__(self, at: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at

    def epoch(self) -> float:
        return self._at.timestamp()

    def advance(self, seconds: float) -> None:
        self._at += timedelta(seconds=seconds)
