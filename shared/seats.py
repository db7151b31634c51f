"""Seats: who watches on which screen, counted in Redis under one tag a viewer, by one script.

`seat:{sub}` sorted set sid → end of lease · `sess:{sub}` hash sid → session, kept to its hard end · `gone:{sub}` hash
sid → reason. Only the script writes them, so the cap holds however many edges ask at once. Redis' clock decides.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from shared.events import EDGE_PUSH, REVOKED, Push

SCRIPT = (Path(__file__).parent / "seats.lua").read_text(encoding="utf-8")
Policy = Literal["refuse", "takeover_oldest"]


class Session(msgspec.Struct, frozen=True):
    """What is kept of a session: device, place (a network prefix), title, and times in seconds since 1970."""

    d: str = ""
    place: str = ""
    title: str = ""
    since: float = 0.0
    started: float = 0.0
    hmx: float = 0.0


class LiveSeat(msgspec.Struct, frozen=True):
    """A seat in use: `since` when it was taken, `until` when it is free without a further sign of life."""

    sid: str
    device: str
    place: str
    title: str
    since: int
    until: int
    hmx: int


class Claim(msgspec.Struct, frozen=True):
    """One session asking for its seat. `may_start`: its start window is open, or it is known to have started."""

    sub: str
    sid: str
    cap: int
    hmx: int
    may_start: bool
    device: str = ""
    place: str = ""
    title: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """What the script said. `first`: the session started just now. `place`: where it started."""

    state: Literal["seated", "full", "gone", "late"]
    first: bool = False
    place: str = ""
    reason: str = ""
    seats: tuple[LiveSeat, ...] = ()


class Seats:
    """The script on one Redis, with the lease and policy of this edge. Raises redis.RedisError when it is away."""

    def __init__(self, redis: Redis, *, lease_s: int, policy: Policy) -> None:
        self._redis, self._lease_s, self._policy = redis, lease_s, policy
        self._script: AsyncScript = redis.register_script(SCRIPT)

    async def take(self, claim: Claim) -> Verdict:
        """Take the seat, or renew it. Safe to repeat."""
        arguments = (
            claim.sid,
            claim.cap,
            self._lease_s,
            self._policy,
            int(claim.may_start),
            claim.hmx,
            claim.device,
            claim.place,
            claim.title,
            EDGE_PUSH,
        )
        return _verdict(await self._script(keys=keys(claim.sub), args=arguments))

    async def leave(self, sub: str, sid: str, *, grace_s: int = 0) -> bool:
        """Free the seat in `grace_s` seconds; whether that changed anything. The session may take one again."""
        seat = keys(sub)[0]
        if not grace_s:
            return bool(await self._redis.zrem(seat, sid))
        seconds, micros = await self._redis.time()
        soon = int(seconds) + int(micros) / 1e6 + grace_s
        return bool(await self._redis.zadd(seat, {sid: soon}, xx=True, lt=True, ch=True))


def keys(sub: str) -> tuple[str, str, str]:
    """The three keys of a viewer; the braces keep them on one node of a cluster."""
    return f"seat:{{{sub}}}", f"sess:{{{sub}}}", f"gone:{{{sub}}}"


async def live(redis: Redis, sub: str) -> list[LiveSeat]:
    """The seats a viewer holds now, longest first. Raises redis.RedisError when Redis is away."""
    seat, sess, _ = keys(sub)
    pipe = redis.pipeline(transaction=True)
    pipe.time()
    pipe.zrange(seat, 0, -1, withscores=True)
    pipe.hgetall(sess)
    (seconds, micros), held, sessions = await pipe.execute()
    now = int(seconds) + int(micros) / 1e6
    by_sid = {_text(sid): value for sid, value in sessions.items()}
    seats = [_seat(_text(sid), until, by_sid.get(_text(sid), b"{}")) for sid, until in held if until > now]
    return sorted(seats, key=lambda one: one.since)


async def revoke(redis: Redis, push: Push) -> None:
    """End what was minted up to `push.iat` for a title, sub or sid: told to edges now, kept for later ones."""
    pipe = redis.pipeline(transaction=True)
    pipe.hset(REVOKED, f"{push.kind}:{push.key}", str(push.iat))
    pipe.publish(EDGE_PUSH, msgspec.json.encode(push))
    await pipe.execute()


async def sweep_revoked(redis: Redis, *, before: int) -> int:
    """Forget revocations of tokens minted before `before`, when none of those can live any more; how many."""
    held: dict[Any, Any] = await redis.hgetall(REVOKED)
    old = [field for field, iat in held.items() if int(iat) < before]
    if old:
        await redis.hdel(REVOKED, *old)
    return len(old)


def _verdict(answer: list[Any]) -> Verdict:
    match _text(answer[0]), answer[1:]:
        case "seated", [first, place, *_]:
            return Verdict("seated", first=bool(first), place=_text(place))
        case "seated", [first, *_]:
            return Verdict("seated", first=bool(first))
        case "gone", [reason, *_]:
            return Verdict("gone", reason=_text(reason))
        case "full", [held, *_]:
            seats = [_seat(_text(sid), float(until), kept) for sid, until, kept in held]
            return Verdict("full", seats=tuple(sorted(seats, key=lambda one: one.since)))
    return Verdict("late")


def _seat(sid: str, until: float, kept: bytes | str) -> LiveSeat:
    session = msgspec.json.decode(kept, type=Session)
    return LiveSeat(
        sid=sid,
        device=session.d,
        place=session.place,
        title=session.title,
        since=int(session.since),
        until=int(until),
        hmx=int(session.hmx),
    )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
