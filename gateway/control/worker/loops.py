"""A loop that never dies: a step again and again, slower while it fails, one log line when that changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from shared import log
from shared.metrics import ERRORS

#: Seconds between two tries after an error: doubled each time.
FIRST_S, LAST_S = 0.25, 5.0

#: One step; whether there may be more to do at once.
Step = Callable[[], Awaitable[bool]]


async def forever(name: str, step: Step, *, every_s: float, wake: asyncio.Event | None = None) -> None:
    """Repeat `step` each `every_s` seconds, at once while it says there is more, and when `wake` is set.

    An error is logged when it is first seen and again only when it changes or is over; the next try waits longer.
    """
    logger = log.get("worker")
    wake = wake or asyncio.Event()
    trouble, wait_s = "", FIRST_S
    this = asyncio.current_task()
    # A library within a step may lose a cancellation (wait_for of Python 3.11 does), so it is asked for each time.
    while this is None or not this.cancelling():
        wake.clear()
        try:
            more = await step()
        except Exception as error:  # the outermost loop: whatever it is, the others go on and this one tries again
            ERRORS.labels("worker").inc()
            if type(error).__name__ != trouble:
                trouble = type(error).__name__
                logger.warning("loop failed", loop=name, error=trouble, reason=str(error)[:300])
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LAST_S)
            continue
        if trouble:
            logger.info("loop works again", loop=name)
        trouble, wait_s = "", FIRST_S
        if not more and not (this and this.cancelling()):
            await _wait(wake, every_s)


async def _wait(wake: asyncio.Event, seconds: float) -> None:
    try:
        # Not wait_for: that of Python 3.11 loses a cancellation which comes together with the event.
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return
