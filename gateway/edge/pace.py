"""Pace: how fast segments may be asked for, by one session and from one network prefix. Pure: ticks come in."""

from __future__ import annotations

import math
from typing import Final, Protocol

from gateway.edge.refusals import Refusal
from shared.settings import EdgeSettings

#: A request up to this much early is held back for as long, so that a download at full speed is slowed, not broken.
HOLD_S: Final = 2.0
#: Shorter waits are not worth a turn of the loop.
SHORTEST_S: Final = 0.005


class Paced(Protocol):
    """Whose pace is kept. `paced` is the tick up to which its requests are spoken for."""

    paced: float


class Pace:
    """A bucket a session, and a ceiling a prefix that is counted anew each second."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._step_s = 1 / settings.pace_per_s
        self._burst_s = settings.pace_burst * self._step_s
        self._ceiling = settings.pace_prefix_per_s
        self._second = 0
        self._by_prefix: dict[str, int] = {}

    def take(self, session: Paced, prefix: str, tick: float) -> float:
        """Count one segment; the seconds to hold it back, mostly 0.0. Raises Refusal too-fast."""
        second = int(tick)
        if second != self._second:
            self._second = second
            self._by_prefix.clear()
        count = self._by_prefix.get(prefix, 0)
        if count >= self._ceiling:
            raise Refusal("too-fast", "Too many segments are asked for from this network.", retry_after_s=1)
        paced = session.paced
        if paced <= tick:
            session.paced = tick + self._step_s
            self._by_prefix[prefix] = count + 1
            return 0.0
        early_s = paced - tick - self._burst_s + self._step_s
        if early_s > HOLD_S:
            raise Refusal("too-fast", retry_after_s=math.ceil(early_s - HOLD_S))
        session.paced = paced + self._step_s
        self._by_prefix[prefix] = count + 1
        return early_s if early_s > SHORTEST_S else 0.0
