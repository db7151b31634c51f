"""Statements of a Lua script, line by line: what is left of it when any single one is deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError


class Deletion(msgspec.Struct, frozen=True):
    """A script without one statement. `line` counts from 1."""

    line: int
    statement: str
    rest: str


async def deletions(redis: Redis, script: str) -> AsyncIterator[Deletion]:
    """Each statement of `script` deleted once: a single line, or a block from its first line to its `end`.

    A statement is the shortest run of lines that compiles alone and leaves a script that compiles; the server's own
    compiler decides.
    """
    lines = script.splitlines()
    for first, line in enumerate(lines):
        if not line.strip() or line.strip().startswith("--"):
            continue
        for last in range(first, len(lines)):
            statement, rest = "\n".join(lines[first : last + 1]), "\n".join(lines[:first] + lines[last + 1 :])
            if await _compiles(redis, statement) and await _compiles(redis, rest):
                yield Deletion(first + 1, statement, rest)
                break


async def _compiles(redis: Redis, text: str) -> bool:
    try:
        await redis.script_load(text)
    except ResponseError:
        return False
    return True
