"""Seats: who watches on which screen, counted in Redis under one tag a viewer, by one script.

`seat:{sub}` sorted set sid → end of lease, never past the session's hard end · `sess:{sub}` hash sid → session, kept a
lease longer · `gone:{sub}` hash sid → reason. Only the script writes them, so the cap holds however many edges ask at
once. Redis' clock decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import NoScriptError, RedisError

from shared.events import EDGE_PUSH, REVOKED, Push

SCRIPT = (Path(__file__).parent / "seats.lua").read_text(encoding="utf-8")
#: Sorted set sub → when its next lease may be over: whichever edge comes by tells control of seats that ran out.
LEASES = "edge:leases"
#: Sorted set sub → when it is due again should whoever looks at it die.
LOOKED_AT = "edge:leases:looked-at"
LOOK_S = 5.0
#: Seconds past the end of a lease at which it is looked at.
LATE_S = 0.05
#: Seconds past the end of a seat for which it is known that its page was closed.
CLOSED_S = 30
Policy = Literal["refuse", "takeover_oldest"]


class Session(msgspec.Struct, frozen=True):
    """What is kept of a session: device, place (a network prefix), title, and times in seconds since 1970.

    `alt` is the place of the other address family, `cc` the country, `edge` who renewed last, `spread` when another
    edge did before.
    """

    d: str = ""
    place: str = ""
    alt: str = ""
    cc: str = ""
    title: str = ""
    edge: str = ""
    spread: float = 0.0
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
    """One session asking for its seat. `may_start`: its start window is open, or it is known to have started.

    `is_bound`: it plays only where it began, at one place a family. `alt` is that of the other family where it is
    known, for a Redis that forgot. `edge` is who asks.
    """

    sub: str
    sid: str
    cap: int
    hmx: int
    may_start: bool
    device: str = ""
    place: str = ""
    title: str = ""
    is_bound: bool = False
    country: str = ""
    edge: str = ""
    alt: str = ""


class Ended(msgspec.Struct, frozen=True):
    """A seat that is free since the script ran: its lease was over (`idle`), or it was taken over."""

    sid: str
    reason: str
    title: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """What the script said. `first`: the session started just now; `anew`: it took a seat, rather than renewed one.

    `place` and `alt`: where it plays, one of each address family. `spread`: several edges serve it. `ended`: seats
    that are free since this call; nobody else is told of them.
    """

    state: Literal["seated", "full", "gone", "late", "elsewhere"]
    first: bool = False
    place: str = ""
    reason: str = ""
    seats: tuple[LiveSeat, ...] = ()
    alt: str = ""
    anew: bool = False
    spread: bool = False
    ended: tuple[Ended, ...] = ()


class Seats:
    """The script on one Redis, with the lease and policy of this edge. Raises redis.RedisError when it is away."""

    def __init__(self, redis: Redis, *, lease_s: int, policy: Policy) -> None:
        self._redis, self._lease_s, self._policy = redis, lease_s, policy
        self._script: AsyncScript = redis.register_script(SCRIPT)

    async def take(self, claim: Claim) -> Verdict:
        """Take the seat, or renew it. Safe to repeat."""
        return _verdict(await self._script(keys=keys(claim.sub), args=self._arguments(claim)))

    async def take_many(self, claims: Sequence[Claim]) -> list[Verdict | RedisError]:
        """Take or renew many seats by one message to Redis, in this order: a fifth of the work of one by one.

        An error of one leaves the others their verdicts. Raises where none has any.
        """
        answers = await self._run(claims)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            await self._redis.script_load(SCRIPT)
            answers = await self._run(claims)
        if answers and all(isinstance(answer, RedisError) for answer in answers):
            raise answers[0]
        return [answer if isinstance(answer, RedisError) else _verdict(answer) for answer in answers]

    async def _run(self, claims: Sequence[Claim]) -> list[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for claim in claims:
            pipe.evalsha(self._script.sha, 3, *keys(claim.sub), *self._arguments(claim))
        answers: list[Any] = await pipe.execute(raise_on_error=False)
        return answers

    def _arguments(self, claim: Claim) -> tuple[str | int, ...]:
        return (
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
            int(claim.is_bound),
            claim.country,
            claim.edge,
            claim.alt,
        )

    async def leave(self, sub: str, sid: str, *, grace_s: int = 0) -> bool:
        """Free the seat in `grace_s` seconds; whether that changed anything. The session may take one again. All edges
        are told, since one that serves it too would trust in the seat for a lease."""
        seat = keys(sub)[0]
        soon = await _time(self._redis) + grace_s if grace_s else 0.0
        pipe = self._redis.pipeline(transaction=True)
        if not grace_s:
            pipe.zrem(seat, sid)
            pipe.publish(EDGE_PUSH, msgspec.json.encode(Push("left", sid)))
            held, _ = await pipe.execute()
            return bool(held)
        pipe.zadd(seat, {sid: soon}, xx=True, lt=True, ch=True)
        pipe.publish(EDGE_PUSH, msgspec.json.encode(Push("left", sid)))
        pipe.set(_closed(sub, sid), 1, ex=grace_s + CLOSED_S)
        pipe.zadd(LEASES, {sub: soon + LATE_S}, lt=True)
        changed, *_ = await pipe.execute()
        return bool(changed)

    async def remind(self, *subs: str, after_s: float) -> None:
        """Have the seats of viewers looked at again after `after_s` seconds, by any edge."""
        at = await _time(self._redis) + after_s + LATE_S
        await self._redis.zadd(LEASES, dict.fromkeys(subs, at), lt=True)

    async def due(self, count: int) -> list[str]:
        """Up to `count` viewers whose seats are to be looked at now; say `looked` of each. Nobody else gets them for a
        while: should this edge die, they are due again."""
        now = await _time(self._redis)
        pipe = self._redis.pipeline(transaction=False)
        for held in (LEASES, LOOKED_AT):
            pipe.zrangebyscore(held, "-inf", now, start=0, num=count)
        waiting, left = await pipe.execute()
        subs = [*waiting, *left][:count]
        pipe = self._redis.pipeline(transaction=True)
        for sub in subs:
            pipe.zrem(LEASES, sub)
            pipe.zadd(LOOKED_AT, {sub: now + LOOK_S})
        found = await pipe.execute() if subs else []
        return [_text(sub) for sub, is_mine in zip(subs, found[::2], strict=True) if is_mine or sub in left]

    async def looked(self, sub: str) -> None:
        """The seats of a viewer who was due were looked at."""
        await self._redis.zrem(LOOKED_AT, sub)

    async def expire(self, sub: str) -> tuple[tuple[Ended, ...], float]:
        """Free the seats of a viewer whose leases are over; those, and seconds to the next end of one (0: none)."""
        seat, sess, _ = keys(sub)
        now = await _time(self._redis)
        pipe = self._redis.pipeline(transaction=True)
        pipe.zrangebyscore(seat, "-inf", f"{now:.6f}")
        # What is over at a moment in the past is over for good, so asking for the time first is safe.
        pipe.zremrangebyscore(seat, "-inf", f"{now:.6f}")
        pipe.zrange(seat, 0, 0, withscores=True)
        over, _, held = await pipe.execute()
        ended = []
        for sid in map(_text, over):
            kept, is_closed = await self._redis.hget(sess, sid), await self._redis.exists(_closed(sub, sid))
            ended.append(_ended(sid, "end" if is_closed else "idle", kept or b"{}"))
        return tuple(ended), float(held[0][1]) - now if held else 0.0

    async def banish(self, sub: str, sid: str, *, reason: str, hmx: int) -> tuple[bool, bool]:
        """End a session for good and tell all edges; whether this was the first to do so, and whether it sat."""
        seat, _, gone = keys(sub)
        pipe = self._redis.pipeline(transaction=True)
        pipe.hsetnx(gone, sid, reason)
        pipe.zrem(seat, sid)
        pipe.expireat(gone, hmx, nx=True)
        pipe.expireat(gone, hmx, gt=True)
        pipe.publish(EDGE_PUSH, msgspec.json.encode(Push("sid", sid, hmx, reason)))
        is_first, held, *_ = await pipe.execute()
        return bool(is_first), bool(held)


def _closed(sub: str, sid: str) -> str:
    return f"sess:{{{sub}}}:{sid}:closed"


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
    return _listed([(_text(sid), until, by_sid.get(_text(sid), b"{}")) for sid, until in held if until > now])


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


async def _time(redis: Redis) -> float:
    seconds, micros = await redis.time()
    return int(seconds) + int(micros) / 1e6


def _verdict(answer: list[Any]) -> Verdict:
    match _text(answer[0]), answer[1:]:
        case "seated", [first, place, alt, anew, spread, ended]:
            return Verdict(
                "seated",
                first=bool(first),
                place=_text(place),
                alt=_text(alt),
                anew=bool(anew),
                spread=bool(spread),
                ended=_all_ended(ended),
            )
        case "gone", [reason]:
            return Verdict("gone", reason=_text(reason))
        case "elsewhere", []:
            return Verdict("elsewhere")
        case "full", [ended, held]:
            seats = _listed([(_text(sid), float(until), kept) for sid, until, kept in held])
            return Verdict("full", seats=tuple(seats), ended=_all_ended(ended))
    return Verdict("late", ended=_all_ended(answer[1]))


def _all_ended(told: list[Any]) -> tuple[Ended, ...]:
    return tuple(_ended(_text(sid), _text(reason), kept) for sid, reason, kept in told)


def _ended(sid: str, reason: str, kept: bytes | str) -> Ended:
    return Ended(sid, reason, msgspec.json.decode(kept, type=Session).title)


def _listed(held: list[tuple[str, float, bytes | str]]) -> list[LiveSeat]:
    """Seats from (sid, end of lease, session), in the order in which they were taken."""
    sessions = [(msgspec.json.decode(kept, type=Session), sid, until) for sid, until, kept in held]
    return [
        LiveSeat(
            sid=sid,
            device=session.d,
            place=session.place,
            title=session.title,
            since=int(session.since),
            until=int(until),
            hmx=int(session.hmx),
        )
        for session, sid, until in sorted(sessions, key=lambda one: one[0].since)
    ]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
