"""Waiting in tests: for a state, never for a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import httpx2

Value = TypeVar("Value")
WITHIN_S, LOOK_S = 60.0, 0.05


async def until(
    ask: Callable[[], Awaitable[Value | None]], *, within_s: float = WITHIN_S, what: str = "what was waited for"
) -> Value:
    """Ask until the answer is true; servers that are down for a moment count as no answer."""
    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        try:
            if value := await ask():
                return value
        except (httpx2.HTTPError, OSError):
            pass
        assert asyncio.get_running_loop().time() < deadline, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(LOOK_S)


async def written(path: Path) -> str:
    """What a file says, once it says something."""

    async def said() -> str:
        return path.read_text().strip()

    return await until(said, what=f"something in {path.name}")
