"""The event loop's pulse: how late a timer rings, since what is late here is late for every viewer."""

from __future__ import annotations

import asyncio

from shared import metrics

BEAT_S = 0.1


async def watch() -> None:
    """Measure for ever."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + BEAT_S
        await asyncio.sleep(BEAT_S)
        metrics.EDGE_LOOP_LAG.observe(max(0.0, loop.time() - due))
