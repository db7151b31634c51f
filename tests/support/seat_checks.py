"""Quick checks of the seat script on a real server: each ends in milliseconds and is red for some broken script.

They go through `shared.seats.Seats`, which takes its script from `shared.seats.SCRIPT` when it is made. A lease is
ended by moving its end into the past, so nothing here waits.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from shared import seats
from shared.events import EDGE_PUSH, Push
from shared.seats import Claim, Ended, Policy, Seats, Verdict

SUB: Final = "viewer"
SEAT, SESS, GONE = seats.keys(SUB)
LEASE_S: Final = 45
Check = Callable[[Redis], Awaitable[None]]


class Screens:
    """The script on one Redis, asked by name of the session."""

    def __init__(self, redis: Redis, policy: Policy = "refuse", *, lease_s: int = LEASE_S) -> None:
        self.redis, self._seats = redis, Seats(redis, lease_s=lease_s, policy=policy)

    async def take(self, sid: str, **changes: Any) -> Verdict:
        """Ask for a seat of cap 1, to be kept 1,000 seconds."""
        values: dict[str, Any] = {"sub": SUB, "sid": sid, "cap": 1, "hmx": int(time.time()) + 1000, "may_start": True}
        return await self._seats.take(Claim(**(values | changes)))

    async def state(self, sid: str, **changes: Any) -> str:
        """The same, and only the word."""
        return (await self.take(sid, **changes)).state


async def end_lease(redis: Redis, sid: str) -> None:
    """Make the lease of a session be over, as after a pause."""
    await redis.zadd(SEAT, {sid: time.time() - 1}, xx=True)


async def held(redis: Redis) -> set[str]:
    """The sessions that Redis counts, whether their lease is over or not."""
    sids: list[Any] = await redis.zrange(SEAT, 0, -1)
    return {sid.decode() for sid in sids}


async def left_s(redis: Redis, sid: str) -> float:
    """Seconds to the end of a lease."""
    end = await redis.zscore(SEAT, sid)
    assert isinstance(end, float)
    return end - time.time()


async def session(redis: Redis, sid: str) -> dict[str, Any]:
    """What is kept of a session."""
    kept: dict[str, Any] = json.loads(await redis.hget(SESS, sid) or "null")
    return kept


async def keep(redis: Redis, sid: str, **values: Any) -> None:
    """Put a session there by hand."""
    await redis.hset(SESS, sid, json.dumps({"d": "", "place": "", "title": "", "since": 1.0, "started": 1.0} | values))


async def _seats_up_to_the_cap(redis: Redis) -> None:
    screens = Screens(redis)
    verdicts = [await screens.take(sid, cap=2) for sid in ("one", "two", "three")]
    assert [(one.state, one.first) for one in verdicts] == [("seated", True), ("seated", True), ("full", False)]
    assert await held(redis) == {"one", "two"}


async def _says_who_sits_there(redis: Redis) -> None:
    screens = Screens(redis)
    before = time.time()
    await screens.take("one", device="tv", place="192.0.2.0/24", title="ttl", hmx=int(before) + 500)
    (seat,) = (await screens.take("two")).seats
    assert (seat.sid, seat.device, seat.place, seat.title) == ("one", "tv", "192.0.2.0/24", "ttl")
    assert seat.hmx == int(before) + 500
    assert abs(seat.since - before) < 5 and abs(seat.until - before - LEASE_S) < 5
    assert abs((await session(redis, "one"))["started"] - before) < 5


async def _lists_a_seat_of_which_nothing_is_kept(redis: Redis) -> None:
    await redis.zadd(SEAT, {"ghost": time.time() + 40})
    verdict = await Screens(redis).take("one")
    assert [seat.sid for seat in verdict.seats] == ["ghost"]


async def _renews_without_a_new_start(redis: Redis) -> None:
    screens = Screens(redis)
    await screens.take("one", place="here")
    before = await session(redis, "one")
    await redis.zadd(SEAT, {"one": time.time() + 1}, xx=True)
    await redis.persist(SEAT)
    verdict = await screens.take("one", place="there")
    assert (verdict.state, verdict.first, verdict.place) == ("seated", False, "here")
    assert await left_s(redis, "one") > LEASE_S - 5
    assert LEASE_S - 5 < await redis.ttl(SEAT) <= LEASE_S + 3
    assert await session(redis, "one") == before


async def _renewal_of_one_frees_the_expired_of_others(redis: Redis) -> None:
    screens = Screens(redis)
    for sid in ("one", "two"):
        await screens.take(sid, cap=2)
    await end_lease(redis, "two")
    await screens.take("one", cap=2)
    assert await held(redis) == {"one"}


async def _a_lease_that_is_over_frees_the_seat(redis: Redis) -> None:
    screens = Screens(redis)
    await screens.take("one")
    await end_lease(redis, "one")
    assert [await screens.state(sid) for sid in ("two", "one")] == ["seated", "full"]
    assert await held(redis) == {"two"}


async def _a_session_comes_back_after_a_pause(redis: Redis) -> None:
    screens = Screens(redis)
    await screens.take("one", device="tv", place="here")
    await keep(redis, "one", d="tv", place="here", hmx=time.time() + 1000)
    await end_lease(redis, "one")
    verdict = await screens.take("one", may_start=False, place="there")
    assert (verdict.state, verdict.first, verdict.place) == ("seated", False, "here")
    kept = await session(redis, "one")
    assert (kept["d"], kept["started"]) == ("tv", 1.0) and kept["since"] > 1.0


async def _too_late_to_start(redis: Redis) -> None:
    screens = Screens(redis)
    assert await screens.state("one", may_start=False) == "late"
    assert await redis.exists(SEAT, SESS) == 0


async def _a_seat_without_a_session_is_not_counted_twice(redis: Redis) -> None:
    await redis.zadd(SEAT, {"one": time.time() + 40})
    screens = Screens(redis)
    assert await screens.state("one", may_start=False) == "late"
    assert await held(redis) == set()
    await redis.zadd(SEAT, {"one": time.time() + 40})
    verdict = await screens.take("one")
    assert (verdict.state, verdict.first) == ("seated", True)


async def _the_hard_end_only_grows(redis: Redis) -> None:
    screens, now = Screens(redis), int(time.time())
    for hmx, expected in ((1000, 1000), (5000, 5000), (2000, 5000)):
        await screens.take("one", hmx=now + hmx)
        assert (await session(redis, "one"))["hmx"] == now + expected
        assert expected + LEASE_S - 5 < await redis.ttl(SESS) <= expected + LEASE_S + 1
    await end_lease(redis, "one")
    for hmx, expected in ((1000, 5000), (9000, 9000)):
        await screens.take("one", hmx=now + hmx)
        await end_lease(redis, "one")
        assert (await session(redis, "one"))["hmx"] == now + expected
        assert expected + LEASE_S - 5 < await redis.ttl(SESS) <= expected + LEASE_S + 1


async def _no_seat_outlasts_the_hard_end(redis: Redis) -> None:
    screens, now = Screens(redis), int(time.time())
    await screens.take("one", hmx=now + 20)
    assert 15 < await left_s(redis, "one") <= 20
    await screens.take("one", hmx=now + 10)
    assert 15 < await left_s(redis, "one") <= 20
    await screens.take("one", hmx=now + 1000)
    assert await left_s(redis, "one") > LEASE_S - 5
    await screens.take("over", cap=2, hmx=now - 1)
    assert await screens.state("two", cap=2) == "seated"
    assert await held(redis) == {"one", "two"}


async def _the_keys_end_by_themselves(redis: Redis) -> None:
    screens = Screens(redis)
    await screens.take("one")
    assert LEASE_S - 5 < await redis.ttl(SEAT) <= LEASE_S + 3
    assert 1000 < await redis.ttl(SESS) <= 1001 + LEASE_S


async def _takes_over_the_oldest(redis: Redis) -> None:
    screens = Screens(redis, "takeover_oldest")
    for sid in ("old", "new"):
        await screens.take(sid, cap=2)
    # The older one renewed last: it is the time of taking the seat that counts.
    await keep(redis, "old", since=1.0, hmx=time.time() + 700)
    await keep(redis, "new", since=2.0, hmx=time.time() + 700)
    await redis.zadd(SEAT, {"new": time.time() + 5}, xx=True)
    assert await screens.state("third", cap=2) == "seated"
    assert await held(redis) == {"new", "third"}
    back = await screens.take("old", cap=2)
    assert (back.state, back.reason) == ("gone", "taken-over")
    assert await held(redis) == {"new", "third"}


async def _takes_over_as_many_as_are_too_many(redis: Redis) -> None:
    screens = Screens(redis, "takeover_oldest")
    for sid in ("one", "two", "three"):
        await screens.take(sid, cap=3)
    assert await screens.state("four", cap=1) == "seated"
    assert await held(redis) == {"four"}
    assert set(await redis.hkeys(GONE)) == {b"one", b"two", b"three"}


async def _a_takeover_spares_when_a_seat_is_free(redis: Redis) -> None:
    screens = Screens(redis, "takeover_oldest")
    for sid in ("one", "two", "one"):
        assert await screens.state(sid, cap=2) == "seated"
    assert await held(redis) == {"one", "two"}


async def _a_takeover_is_remembered_to_the_hard_end_of_who_lost(redis: Redis) -> None:
    screens, now = Screens(redis, "takeover_oldest"), int(time.time())
    await screens.take("one", hmx=now + 5000)
    await screens.take("two", hmx=now + 100)
    assert 4990 < await redis.ttl(GONE) <= 5001
    await screens.take("three", hmx=now + 50)
    assert 4990 < await redis.ttl(GONE) <= 5001
    assert await redis.hget(GONE, "two") == b"taken-over"


async def _a_takeover_of_a_ghost_ends(redis: Redis) -> None:
    await redis.zadd(SEAT, {"ghost": time.time() + 40})
    assert await Screens(redis, "takeover_oldest").state("one") == "seated"
    assert await held(redis) == {"one"}
    assert 900 < await redis.ttl(GONE) <= 1001


async def _a_takeover_is_told(redis: Redis) -> None:
    screens, now = Screens(redis, "takeover_oldest"), int(time.time())
    async with redis.pubsub() as channel:
        await channel.subscribe(EDGE_PUSH)
        while (await channel.get_message(timeout=1)) is None:
            pass
        await screens.take("one", hmx=now + 500)
        await screens.take("two", hmx=now + 900)
        message = await channel.get_message(ignore_subscribe_messages=True, timeout=1)
    assert message is not None
    push = msgspec.json.decode(message["data"], type=Push)
    assert push == Push(kind="sid", key="one", iat=now + 500, reason="taken-over")


async def _gone_is_gone_whatever_is_free(redis: Redis) -> None:
    await redis.hset(GONE, "one", "revoked")
    verdict = await Screens(redis).take("one")
    assert (verdict.state, verdict.reason) == ("gone", "revoked")
    assert await redis.exists(SEAT, SESS) == 0


async def _sweeps_a_crowd_of_what_is_over(redis: Redis) -> None:
    for number in range(64):
        await keep(redis, f"old{number}", hmx=1.0)
    screens = Screens(redis)
    await screens.take("one")
    assert await redis.hlen(SESS) == 65
    await end_lease(redis, "one")
    await screens.take("two")
    assert set(await redis.hkeys(SESS)) == {b"one", b"two"}


async def _leaves_at_once_or_soon(redis: Redis) -> None:
    screens = Seats(redis, lease_s=LEASE_S, policy="refuse")
    await Screens(redis).take("one")
    assert await screens.leave(SUB, "one", grace_s=3)
    assert 0 < await left_s(redis, "one") <= 4
    assert not await screens.leave(SUB, "one", grace_s=30)
    assert await screens.leave(SUB, "one")
    assert await held(redis) == set()
    assert not await screens.leave(SUB, "one")


async def _tells_each_seat_that_is_free(redis: Redis) -> None:
    screens = Screens(redis)
    assert (await screens.take("one", title="ttl")).anew
    again = await screens.take("one")
    assert not again.anew and again.ended == ()
    await end_lease(redis, "one")
    full = Ended("one", "idle", "ttl")
    assert (await screens.take("late", may_start=False)).ended == (full,)
    await screens.take("one")
    assert (await screens.take("two")).ended == ()
    await end_lease(redis, "one")
    back = await screens.take("one")
    assert back.anew and not back.first and back.ended == (full,)
    await redis.zadd(SEAT, {"ghost": 1.0})
    assert (await screens.take("two")).ended == (Ended("ghost", "idle"),)
    thief = await Screens(redis, "takeover_oldest").take("three")
    assert thief.anew and thief.ended == (Ended("one", "taken-over", "ttl"),)


async def _binds_to_one_place_a_family(redis: Redis) -> None:
    async def at(place: str, sid: str = "one", **changes: Any) -> tuple[str, str, str]:
        verdict = await screens.take(sid, cap=9, is_bound=True, place=place, **changes)
        return verdict.state, verdict.place, verdict.alt

    screens, elsewhere = Screens(redis), ("elsewhere", "", "")
    assert await at("192.0.2.0/24", country="FR") == ("seated", "192.0.2.0/24", "")
    assert await at("198.51.100.0/24", country="FR") == elsewhere
    assert await at("") == elsewhere
    assert await at("2001:db8:1::/48", country="DE") == elsewhere
    assert (await session(redis, "one"))["alt"] == ""
    assert await at("2001:db8:1::/48", country="FR") == ("seated", "192.0.2.0/24", "2001:db8:1::/48")
    assert (await session(redis, "one"))["alt"] == "2001:db8:1::/48"
    assert await at("2001:db8:2::/48") == elsewhere
    assert await at("192.0.2.0/24") == await at("2001:db8:1::/48") == ("seated", "192.0.2.0/24", "2001:db8:1::/48")
    assert await at("2001:db8:3::/48", "six") == ("seated", "2001:db8:3::/48", "")
    assert await at("2001:db8:4::/48", "six") == elsewhere
    assert await at("192.0.2.0/24", "six", country="FR") == ("seated", "2001:db8:3::/48", "192.0.2.0/24")
    forgot = await screens.take("again", cap=9, is_bound=True, place="192.0.2.0/24", alt="2001:db8:1::/48")
    assert forgot.alt == "2001:db8:1::/48"
    await keep(redis, "old", place="192.0.2.0/24", hmx=time.time() + 1000)
    assert await at("2001:db8:1::/48", "old", country="FR") == ("seated", "192.0.2.0/24", "2001:db8:1::/48")


async def _notices_that_another_edge_serves_it(redis: Redis) -> None:
    async def told() -> list[str]:
        messages = [await channel.get_message(ignore_subscribe_messages=True, timeout=0.2) for _ in range(2)]
        return [msgspec.json.decode(one["data"], type=Push).kind for one in messages if one]

    async with redis.pubsub() as channel:
        await channel.subscribe(EDGE_PUSH)
        while (await channel.get_message(timeout=1)) is None:
            pass
        screens = Screens(redis)
        assert [(await screens.take("one", edge=edge)).spread for edge in ("a", "a")] == [False, False]
        assert await told() == []
        assert [(await screens.take("one", edge=edge)).spread for edge in ("b", "b", "a")] == [True] * 3
        assert await told() == ["spread"]
    kept = await session(redis, "one")
    await keep(redis, "one", **(kept | {"spread": time.time() - 61}))
    assert not (await screens.take("one", edge="a")).spread
    assert (await screens.take("one", edge="b")).spread
    assert abs((await session(redis, "one"))["spread"] - time.time()) < 5


CHECKS: Final[tuple[Check, ...]] = (
    _seats_up_to_the_cap,
    _says_who_sits_there,
    _lists_a_seat_of_which_nothing_is_kept,
    _renews_without_a_new_start,
    _renewal_of_one_frees_the_expired_of_others,
    _a_lease_that_is_over_frees_the_seat,
    _a_session_comes_back_after_a_pause,
    _too_late_to_start,
    _a_seat_without_a_session_is_not_counted_twice,
    _the_hard_end_only_grows,
    _no_seat_outlasts_the_hard_end,
    _the_keys_end_by_themselves,
    _takes_over_the_oldest,
    _takes_over_as_many_as_are_too_many,
    _a_takeover_spares_when_a_seat_is_free,
    _a_takeover_is_remembered_to_the_hard_end_of_who_lost,
    _a_takeover_of_a_ghost_ends,
    _a_takeover_is_told,
    _gone_is_gone_whatever_is_free,
    _sweeps_a_crowd_of_what_is_over,
    _leaves_at_once_or_soon,
    _tells_each_seat_that_is_free,
    _binds_to_one_place_a_family,
    _notices_that_another_edge_serves_it,
)


async def broken_by(redis: Redis) -> str:
    """The first check that the script fails, and how; empty when it passes all. TimeoutError when it never ends."""
    for check in CHECKS:
        await redis.flushall()
        try:
            async with asyncio.timeout(2):
                await check(redis)
        except TimeoutError:
            raise
        except Exception as error:
            return f"{check.__name__}: {error!r}"
    return ""
