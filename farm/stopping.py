"""Work that is cut off soon after the worker is told to stop: what waits for the bucket may take long."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from shared.errors import Stopped
from shared.tasks import end

Result = TypeVar("Result")


async def unless(stop: asyncio.Event | None, work: Coroutine[Any, Any, Result]) -> Result:
    """`work` to its end, and what it gives; cut off, and Stopped raised, when `stop` is set before.

    Not for what starts a process: that ends it by itself, politely (farm/run.py).
    """
    doing = asyncio.create_task(work)
    told = asyncio.create_task((stop or asyncio.Event()).wait())
    try:
        await asyncio.wait({doing, told}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise Stopped("the worker was told to stop")
        return await doing
    finally:
        await end(doing, told)
