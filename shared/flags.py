"""Flags: switches kept in Postgres, copied to Redis, read with a percentage by subject."""

from __future__ import annotations

import hashlib

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.clock import Clock

#: Redis hash: flag name → State as JSON; written by control in the moment a flag changes.
FLAGS = "flags"
#: A reader trusts its copy this long; with the write to Redis a switch is seen everywhere within two seconds.
FRESH_S = 1.0


class State(msgspec.Struct, frozen=True):
    """A flag as it stands: off, or on for `percent` of all subjects."""

    enabled: bool
    percent: int = 100


class Flags:
    """Reads flags. An unknown flag is off; with Redis dead the last copy stands. fails="closed" for unknown flags."""

    def __init__(self, redis: Redis, clock: Clock) -> None:
        self._redis, self._clock = redis, clock
        self._states: dict[str, State] = {}
        self._read_at = 0.0

    async def flag(self, name: str, subject: str = "") -> bool:
        """Whether `name` is on for `subject`; the same subject always gets the same answer at the same percentage."""
        if self._clock.epoch() - self._read_at >= FRESH_S:
            await self._read()
        state = self._states.get(name, State(False))
        return state.enabled and bucket(name, subject) < state.percent

    async def _read(self) -> None:
        self._read_at = self._clock.epoch()
        try:
            rows: dict[bytes, bytes] = await self._redis.hgetall(FLAGS)  # type: ignore[assignment]
        except (RedisError, OSError):
            return
        self._states = {name.decode(): msgspec.json.decode(value, type=State) for name, value in rows.items()}


def bucket(name: str, subject: str) -> int:
    """0-99, spread evenly over subjects and independent between flags."""
    return int.from_bytes(hashlib.sha256(f"{name}/{subject}".encode()).digest()[:8], "big") % 100


async def copy(redis: Redis, states: dict[str, State]) -> None:
    """Write the Redis copy of all flags."""
    if states:
        await redis.hset(FLAGS, mapping={name: msgspec.json.encode(state) for name, state in states.items()})
