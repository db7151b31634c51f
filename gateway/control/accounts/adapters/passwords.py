"""Passwords by argon2id, in threads, few at a time."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shared.errors import Unavailable

#: Each hash takes 64 MiB and a core for a while: this many at once, this many in the queue.
AT_ONCE, WAITING = 2, 64


class Argon2:
    """argon2id with the library's parameters (RFC 9106, low memory) unless others are given."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turn, self._waiting = asyncio.Semaphore(AT_ONCE), 0

    async def hash(self, password: str) -> str:
        """A salted hash. Raises Unavailable when too many wait."""
        await self._enter()
        try:
            return await asyncio.to_thread(self._hasher.hash, password)
        finally:
            self._turn.release()

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether `password` made `stored`. Where nothing is stored it hashes all the same, so time tells nothing."""
        if stored is None:
            await self.hash(password)
            return False
        await self._enter()
        try:
            return await asyncio.to_thread(self._hasher.verify, stored, password)
        except (VerificationError, InvalidHashError):
            return False
        finally:
            self._turn.release()

    async def _enter(self) -> None:
        if self._waiting >= WAITING:
            raise Unavailable("Many people are logging in; try again in a moment.")
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
