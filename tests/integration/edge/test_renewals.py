"""Seats asked for together: one message for many, each with its own verdict."""

from __future__ import annotations

import asyncio
from pathlib import Path

from redis.asyncio import Redis

from gateway.edge.renewals import TOGETHER
from shared.seats import Claim, Seats, Verdict, keys
from tests.support.edge import PLAYLIST, EdgeUnderTest, running_edge


def claim(sub: str, sid: str) -> Claim:
    return Claim(sub=sub, sid=sid, cap=1, hmx=4_000_000_000, may_start=True)


async def taken(seats: Seats, claims: list[Claim]) -> list[Verdict]:
    """The verdicts, which all are given."""
    verdicts = [one for one in await seats.take_many(claims) if isinstance(one, Verdict)]
    assert len(verdicts) == len(claims)
    return verdicts


async def test_each_of_many_gets_its_own_verdict_in_order(redis: Redis) -> None:
    seats = Seats(redis, lease_s=45, policy="refuse")
    asked = [claim(f"sub{number % 3}", f"sid-{number}") for number in range(6)]
    verdicts = await taken(seats, asked)
    assert [one.state for one in verdicts] == ["seated"] * 3 + ["full"] * 3
    again = await taken(seats, asked)
    assert [(one.state, one.first) for one in again] == [("seated", False)] * 3 + [("full", False)] * 3


async def test_a_redis_that_forgot_the_script_is_taught_it_anew(redis: Redis) -> None:
    seats = Seats(redis, lease_s=45, policy="refuse")
    await redis.script_flush()
    (verdict,) = await taken(seats, [claim("sub", "sid-1")])
    assert verdict.state == "seated"


async def test_a_broken_record_costs_only_its_own_viewer_a_verdict(redis: Redis, folder: Path, redis_url: str) -> None:
    async with running_edge(folder, redis_url) as edge:
        await redis.set(keys("broken")[0], "no sorted set")
        answers = await asyncio.gather(
            *(edge.get(PLAYLIST, edge.token(sub=sub)) for sub in ("one", "broken", "two", "broken"))
        )
        assert [answer.status for answer in answers] == [200, 503, 200, 503]
        assert (await edge.get(PLAYLIST, edge.token(sub="three"))).status == 200


async def test_a_crowd_of_new_sessions_is_seated_by_few_messages(folder: Path, redis_url: str, redis: Redis) -> None:
    async with running_edge(folder, redis_url) as edge:
        await edge.until_it_hears()
        before = (await redis.info("commandstats")).get("cmdstat_evalsha", {"calls": 0})["calls"]
        crowd = 2 * TOGETHER + 7
        tokens = [edge.token(sub=f"viewer-{number}") for number in range(crowd)]
        answers = await asyncio.gather(*(edge.get(PLAYLIST, token) for token in tokens))
        assert {answer.status for answer in answers} == {200}
        after = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
        assert after - before == crowd
        assert len(await redis.keys("seat:*")) == crowd


async def test_those_who_wait_together_are_refused_each_for_himself(edge: EdgeUnderTest) -> None:
    tokens = [edge.token(sub="one", cap=2) for _ in range(5)]
    answers = await asyncio.gather(*(edge.get(PLAYLIST, token) for token in tokens))
    assert sorted(answer.status for answer in answers) == [200, 200, 409, 409, 409]
