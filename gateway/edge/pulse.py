"""The event loop's pulse: how late a timer rings, since what is late here is late for every viewer."""

from __future__ import annotations

import asyncio
import time

from shared import metrics

BEAT_S = 0.1
#: A loop that has not come round for this long never will: the process is to be restarted.
DEAD_S = 30.0


class Pulse:
    """One loop's. Its beats are read by the thread of the private listener."""

    def __init__(self) -> None:
        self.beats, self._last = 0, time.monotonic()

    async def watch(self) -> None:
        """Measure for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + BEAT_S
            await asyncio.sleep(BEAT_S)
            metrics.EDGE_LOOP_LAG.observe(max(0.0, loop.time() - due))
            self.beats, self._last = self.beats + 1, time.monotonic()

    def stopped(self) -> str | None:
        """Why the process is not alive; None while it is."""
        silent_s = time.monotonic() - self._last
        return f"the event loop has stood still for {silent_s:.0f} s" if silent_s > DEAD_S else None
