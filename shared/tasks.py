"""Ending background tasks for certain: the Redis client may swallow a cancellation that meets an answer."""

from __future__ import annotations

import asyncio
from typing import Any

#: Seconds after which a task that was told to end and did not is told again.
AGAIN_S = 0.1


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel until all have ended; what they raised is looked at and dropped."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)
