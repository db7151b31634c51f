"""A session that ends on one edge gives its seat away for all edges: nobody plays on beside who took it."""

from __future__ import annotations

from pathlib import Path

from redis.asyncio import Redis

from shared import seats
from tests.support.edge import MASTER, SEGMENT, EdgeUnderTest, running_edge, until


async def until_status(edge: EdgeUnderTest, token: str, status: int) -> None:
    async def reached() -> bool:
        return (await edge.get(SEGMENT, token)).status == status

    await until(reached)


async def test_a_seat_ended_elsewhere_and_taken_is_lost_here(folder: Path, redis: Redis, redis_url: str) -> None:
    async with (
        running_edge(folder, redis_url, seat_end_s=0) as one,
        running_edge(folder, redis_url, key_set=one.key_set, seat_end_s=0) as two,
    ):
        await two.until_it_hears()
        shared, other = one.token(cap=1), one.token(cap=1)
        assert [(await edge.get(MASTER, shared)).status for edge in (one, two)] == [200, 200]
        assert (await one.post("end", shared)).status == 204
        await until_status(one, other, 200)
        # Long before its next renewal.
        await until_status(two, shared, 409)
        assert [(await edge.get(SEGMENT, other)).status for edge in (one, two)] == [200, 200]


async def test_a_seat_ended_elsewhere_is_kept_by_who_plays_on(folder: Path, redis: Redis, redis_url: str) -> None:
    async with (
        running_edge(folder, redis_url, seat_end_s=5) as one,
        running_edge(folder, redis_url, key_set=one.key_set, seat_end_s=5) as two,
    ):
        await two.until_it_hears()
        shared, other = one.token(cap=1), one.token(cap=1)
        assert [(await edge.get(MASTER, shared)).status for edge in (one, two)] == [200, 200]
        assert (await one.post("end", shared)).status == 204

        async def kept() -> bool:
            assert (await two.get(SEGMENT, shared)).status == 200
            (seat,) = await seats.live(redis, "viewer")
            return seat.until > one.clock.now() + 10

        await until(kept)
        assert (await one.get(MASTER, other)).status == 409
