"""Tasks that are told to end do end."""

from __future__ import annotations

import asyncio
import contextlib

from shared import tasks


async def test_a_task_that_swallows_its_cancellation_is_told_again() -> None:
    swallowed = 0

    async def deaf() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                swallowed += 1
        await asyncio.sleep(3600)

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    await tasks.end(task)
    assert swallowed == 2
    assert task.cancelled()


async def test_what_an_ended_task_raised_is_not_raised_again() -> None:
    async def failing() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        raise ValueError("late")

    task = asyncio.create_task(failing())
    await asyncio.sleep(0)
    await tasks.end(task)
    assert isinstance(task.exception(), ValueError)


async def test_ending_nothing_is_nothing() -> None:
    await tasks.end()
