"""Redis killed, started again empty, and flushed: who plays on, who waits, and that the cap holds after."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

from gateway.edge.seats import BACK_OFF_S, SETTLE_S
from gateway.edge.sharing import Finding
from shared import seats
from shared.events import EDGE_STREAM, REVOKED, Push
from tests.support.edge import MASTER, SEGMENT, EdgeUnderTest, running_edge, until
from tests.support.ports import free_port
from tests.support.valkey import Valkey, valkey


@pytest.fixture
def server() -> Iterator[Valkey]:
    with valkey(free_port()) as running:
        yield running


@pytest.fixture
async def edge(folder: Path, server: Valkey) -> AsyncIterator[EdgeUnderTest]:
    async with running_edge(folder, server.url) as running:
        yield running


@pytest.fixture
async def direct(server: Valkey) -> AsyncIterator[Redis]:
    client = Redis.from_url(server.url, retry=Retry(ConstantBackoff(0.05), 20))
    yield client
    await client.aclose()


async def status(edge: EdgeUnderTest, token: str) -> int:
    return (await edge.get(MASTER, token)).status


async def until_status(edge: EdgeUnderTest, token: str, wanted: int) -> None:
    async def reached() -> bool:
        return await status(edge, token) == wanted

    await until(reached)


async def until_seats(redis: Redis, count: int) -> None:
    async def there() -> bool:
        return len(await seats.live(redis, "viewer")) == count

    await until(there)


async def test_running_sessions_play_on_and_new_ones_wait_while_redis_is_dead(
    edge: EdgeUnderTest, server: Valkey
) -> None:
    edge.clock.stop()
    running = edge.token()
    assert await status(edge, running) == 200
    server.kill()
    fresh = await edge.get(MASTER, edge.token())
    assert (fresh.status, fresh.json()["code"]) == (503, "seats-unavailable")
    assert int(fresh.headers["retry-after"]) >= 1
    for ahead_s in (20, 60, 299):
        edge.clock.ahead_s = ahead_s
        assert (await edge.get(SEGMENT, running)).status == 200
    edge.clock.ahead_s = 301
    assert (await edge.get(SEGMENT, running)).status == 503
    assert (await edge.get(MASTER, "a.b.c")).status == 401


async def test_new_sessions_are_admitted_without_redis_where_that_is_set(folder: Path, server: Valkey) -> None:
    async with running_edge(folder, server.url, seat_open=True) as edge:
        server.kill()
        token = edge.token()
        assert [await status(edge, token) for _ in range(3)] == [200, 200, 200]


async def test_an_edge_starts_without_redis_and_admits_when_it_comes(folder: Path, server: Valkey) -> None:
    server.kill()
    async with running_edge(folder, server.url) as edge:
        token = edge.token()
        assert await status(edge, token) == 503
        server.start()
        await until_status(edge, token, 200)


async def test_a_redis_that_forgot_everything_learns_what_runs(
    edge: EdgeUnderTest, server: Valkey, direct: Redis
) -> None:
    running = [edge.token(), edge.token()]
    assert [await status(edge, token) for token in running] == [200, 200]
    await edge.until_it_hears()
    server.kill()
    assert [await status(edge, token) for token in running] == [200, 200]
    server.start()
    await until_seats(direct, 2)
    edge.clock.stop()
    assert [await status(edge, token) for token in running] == [200, 200]
    late = edge.token()
    assert (await edge.get(MASTER, late)).json()["code"] == "seats-unavailable"
    edge.clock.ahead_s = SETTLE_S + BACK_OFF_S
    assert await status(edge, late) == 409


async def test_a_flushed_redis_learns_what_runs_without_a_lost_connection(edge: EdgeUnderTest, direct: Redis) -> None:
    assert await status(edge, edge.token(exp=int(edge.clock.now()) + 20)) == 200
    await edge.until_it_hears()
    edge.clock.ahead_s = 30
    await direct.flushall()
    await until_seats(direct, 1)


async def test_a_flushed_redis_is_not_told_of_a_session_at_its_hard_end(edge: EdgeUnderTest, direct: Redis) -> None:
    over = edge.token(sid="session-over", hmx=int(edge.clock.now()) + 20)
    assert [await status(edge, token) for token in (over, edge.token(sid="session-plays"))] == [200, 200]
    await edge.until_it_hears()
    edge.clock.ahead_s = 30
    await direct.flushall()
    await until_seats(direct, 1)
    assert await direct.hkeys(seats.keys("viewer")[1]) == [b"session-plays"]


async def test_a_revocation_during_the_outage_is_heard_after_it(
    edge: EdgeUnderTest, server: Valkey, direct: Redis
) -> None:
    token = edge.token()
    assert await status(edge, token) == 200
    await edge.until_it_hears()
    server.kill()
    server.start()
    # Not published: the message was lost, and only the hash tells.
    await direct.hset("edge:revoked", "sub:viewer", str(int(edge.clock.now())))
    await until_status(edge, token, 410)


async def test_events_wait_for_redis(edge: EdgeUnderTest, server: Valkey, direct: Redis) -> None:
    token = edge.token()
    assert await status(edge, token) == 200

    async def start_told() -> bool:
        return bool(await direct.xlen(EDGE_STREAM) == 1)

    await until(start_told)
    server.kill()
    assert (await edge.get(SEGMENT, token)).status == 200
    server.start()

    async def media_told() -> bool:
        entries = await direct.xrange(EDGE_STREAM)
        return any(b"playback.first_media" in fields[b"e"] for _, fields in entries)

    await until(media_told)


async def test_who_was_taken_over_stays_out_of_a_redis_that_forgot(folder: Path, server: Valkey, direct: Redis) -> None:
    async with running_edge(folder, server.url, seats_policy="takeover_oldest") as edge:
        await edge.until_it_hears()
        old, new = edge.token(sid="session-old", cap=1), edge.token(cap=1)
        assert await status(edge, old) == 200
        assert await status(edge, new) == 200
        await until_status(edge, old, 410)
        await direct.flushall()

        async def remembered() -> bool:
            return await direct.hget(seats.keys("viewer")[2], "session-old") == b"taken-over"

        await until(remembered)
        await until_seats(direct, 1)
        async with running_edge(folder, server.url, key_set=edge.key_set) as fresh:
            assert await status(fresh, old) == 410


async def test_what_was_withdrawn_stays_so_in_a_redis_that_forgot(edge: EdgeUnderTest, direct: Redis) -> None:
    await edge.until_it_hears()
    now = int(edge.clock.now())
    await seats.revoke(direct, Push("sub", "viewer", now, "revoked"))
    token = edge.token(iat=now)
    await until_status(edge, token, 410)
    await direct.flushall()

    async def remembered() -> bool:
        return await direct.hget(REVOKED, "sub:viewer") == str(now).encode()

    await until(remembered)


async def test_a_redis_that_lost_its_last_second_learns_what_runs(edge: EdgeUnderTest, direct: Redis) -> None:
    assert await status(edge, edge.token()) == 200
    await edge.until_it_hears()

    async def beats() -> bool:
        return any([int(await direct.get(key) or 0) > 1 for key in await direct.keys("edge:pulse:*")])

    await until(beats)
    # What a restart from a file that is a second old looks like: the mark is there, the newest writes are not.
    await direct.delete(seats.keys("viewer")[0], seats.keys("viewer")[1])
    for key in await direct.keys("edge:pulse:*"):
        await direct.set(key, 0)
    await until_seats(direct, 1)
    assert (await edge.get(MASTER, edge.token())).json()["code"] == "seats-unavailable"


async def test_a_stop_is_told_once_where_redis_forgot_the_seat(folder: Path, server: Valkey, direct: Redis) -> None:
    # An edge on a busy machine notices within a lease that Redis forgot.
    async with running_edge(folder, server.url, seat_lease_s=6) as edge:
        await edge.until_it_hears()
        assert await status(edge, edge.token()) == 200
        await direct.delete("edge:mark", *seats.keys("viewer"))

        async def stopped() -> bool:
            entries = await direct.xrange(EDGE_STREAM)
            return any(b"playback.stop" in fields[b"e"] for _, fields in entries)

        await until(stopped)
        kinds = [b"start" in fields[b"e"] for _, fields in await direct.xrange(EDGE_STREAM)]
        assert kinds == [True, False]


async def test_a_shared_session_is_told_of_when_redis_is_back(folder: Path, server: Valkey, direct: Redis) -> None:
    async with running_edge(folder, server.url) as edge:
        token = edge.token(b="hard", sid="session-shared")
        assert await status(edge, token) == 200
        server.kill()
        assert edge.app.edge is not None
        local = edge.app.edge.seats
        session = local._sessions["session-shared"]
        local.endings.share(session, Finding("hoarded", 1.5))
        assert await status(edge, token) == 410
        server.start()

        async def told() -> bool:
            entries = await direct.xrange(EDGE_STREAM)
            return sum(b"playback.sharing" in fields[b"e"] for _, fields in entries) == 1

        await until(told)
        assert await direct.hget(seats.keys("viewer")[2], "session-shared") == b"shared"
