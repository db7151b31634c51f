"""Starts and stops of seats as control is told of them: one stop for each start, whoever finds it, in order."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from gateway.edge.places import Place
from gateway.edge.refusals import Refusal
from gateway.edge.resolve import target
from shared import seats
from shared.events import EDGE_STREAM, Envelope, Push
from tests.support.edge import MASTER, SEGMENT, TITLE, EdgeUnderTest, claims, running_edge, until

HERE = Place("192.0.2.0/24")


async def told(redis: Redis, sid: str = "") -> list[Envelope]:
    """What edges have told control of seats, of one session or all."""
    entries = await redis.xrange(EDGE_STREAM)
    events = [msgspec.json.decode(fields[b"e"], type=Envelope) for _, fields in entries]
    once = {event.id: event for event in events}.values()
    return [event for event in once if event.type in ("playback.start", "playback.stop") and sid in event.subject]


def lines(events: list[Envelope]) -> list[str]:
    return [event.type.removeprefix("playback.") + event.data.get("reason", "") for event in events]


async def until_told(redis: Redis, expected: list[str], sid: str = "") -> list[Envelope]:
    async def complete() -> bool:
        return len(await told(redis, sid)) >= len(expected)

    await until(complete)
    events = await told(redis, sid)
    assert lines(events) == expected
    return events


async def until_looked_at(redis: Redis) -> None:
    """Have an edge look for seats of the viewer that ran out; back when it has."""
    await redis.zadd(seats.LEASES, {"viewer": 1})

    async def looked() -> bool:
        now = (await redis.time())[0]
        return float(await redis.zscore(seats.LEASES, "viewer") or now) >= now and not await redis.zcard(
            seats.LOOKED_AT
        )

    await until(looked)


def local(edge: EdgeUnderTest) -> Any:
    assert edge.app.edge is not None
    return edge.app.edge.seats


async def test_a_seat_that_runs_out_stops_and_one_that_comes_back_starts_anew(
    folder: Path, redis: Redis, redis_url: str
) -> None:
    async with running_edge(folder, redis_url, seat_lease_s=1) as edge:
        await edge.until_it_hears()
        token = edge.token(sid="session-idle")
        assert (await edge.get(SEGMENT, token)).status == 200
        stop = (await until_told(redis, ["start", "stopidle"]))[-1]
        assert stop.data == {"sid": "session-idle", "sub": "viewer", "title": TITLE, "reason": "idle"}

        async def is_back() -> bool:
            # A Redis that answers late is not asked again before the next request.
            assert (await edge.get(SEGMENT, token)).status == 200
            return len(await told(redis)) > 2

        async def is_over_again() -> bool:
            found = lines(await told(redis))
            return len(found) > 3 and found[-1] == "stopidle"

        await until(is_back)
        await until(is_over_again)
        # Between two requests of a busy machine it may run out once more.
        found = lines(await told(redis))
        assert found == ["start", "stopidle"] * (len(found) // 2)


async def test_a_seat_that_was_renewed_elsewhere_stops_once(folder: Path, redis: Redis, redis_url: str) -> None:
    changes: dict[str, Any] = {"seat_renew_s": 0}
    async with (
        running_edge(folder, redis_url, **changes) as one,
        running_edge(folder, redis_url, key_set=one.key_set, **changes) as two,
    ):
        for edge in (one, two):
            await edge.until_it_hears()  # else it may renew what it has once more when it begins to
        who = claims(one.clock.now(), sid="session-moves")
        await local(one).admit(who, HERE)
        first = (await seats.live(redis, "viewer"))[0]

        async def past_the_first_lease() -> bool:
            await local(two).admit(who, HERE)  # answered when the seat is renewed: nothing of it is on its way after
            return (await seats.live(redis, "viewer"))[0].until > first.until

        await until(past_the_first_lease)
        await until_looked_at(redis)
        await until_told(redis, ["start"])
        await redis.zadd(seats.keys("viewer")[0], {"session-moves": 1}, xx=True)
        await until_looked_at(redis)
        await until_told(redis, ["start", "stopidle"])


async def test_a_seat_that_another_edge_found_over_starts_anew(folder: Path, redis: Redis, redis_url: str) -> None:
    async with running_edge(folder, redis_url) as edge:
        await edge.until_it_hears()
        token = edge.token(sid="session-moves")
        assert (await edge.get(SEGMENT, token)).status == 200
        await until_told(redis, ["start"])
        await redis.zadd(seats.keys("viewer")[0], {"session-moves": 1}, xx=True)
        another = seats.Seats(redis, lease_s=45, policy="refuse")
        assert (await another.expire("viewer"))[0] == (seats.Ended("session-moves", "idle", TITLE),)
        edge.clock.ahead_s = 46
        assert (await edge.get(SEGMENT, token)).status == 200
        await until_told(redis, ["start", "start"])


async def test_the_seat_of_an_edge_that_died_is_stopped_by_another(folder: Path, redis: Redis, redis_url: str) -> None:
    async with running_edge(folder, redis_url) as other:
        async with running_edge(folder, redis_url, key_set=other.key_set) as dying:
            assert (await dying.get(SEGMENT, dying.token(sid="session-left"))).status == 200
            await until_told(redis, ["start"])
        await redis.zadd(seats.keys("viewer")[0], {"session-left": 1}, xx=True)
        await redis.zadd(seats.LEASES, {"viewer": 1})
        await until_told(redis, ["start", "stopidle"])


async def test_what_an_edge_tells_as_it_ends_is_told(folder: Path, redis: Redis, redis_url: str) -> None:
    for number in range(20):
        async with running_edge(folder, redis_url) as edge:
            assert (await edge.get(MASTER, edge.token(sub=f"viewer{number}"))).status == 200
            for _ in range(number % 4):
                await asyncio.sleep(0)
    # What was on its way when the edge ended may come twice, with the same id.
    assert len({event.id for event in await told(redis)}) == 20


async def test_a_viewer_whom_a_dead_edge_was_to_look_at_is_looked_at_by_another(redis: Redis) -> None:
    screens = seats.Seats(redis, lease_s=45, policy="refuse")
    for sub in ("one", "two", "three"):
        await screens.remind(sub, after_s=-1)
    assert sorted(await screens.due(2) + await screens.due(2)) == ["one", "three", "two"]
    assert await screens.due(9) == []
    await screens.looked("one")
    await screens.remind("two", after_s=-1)
    assert await screens.due(9) == ["two"]
    now = (await redis.time())[0]
    looked_at = await redis.zrange(seats.LOOKED_AT, 0, -1, withscores=True)
    assert all(now < at <= now + seats.LOOK_S + 1 for _, at in looked_at)
    await redis.zadd(seats.LOOKED_AT, {"three": now - 1}, xx=True)
    assert await screens.due(9) == ["three"]
    assert await screens.due(9) == []


async def test_a_closed_page_stops_when_its_moment_is_over_and_a_reload_does_not(
    folder: Path, redis: Redis, redis_url: str
) -> None:
    async with running_edge(folder, redis_url, seat_end_s=3) as edge:
        token = edge.token()
        assert (await edge.get(MASTER, token)).status == 200
        assert (await edge.post("end", token)).status == 204
        assert (await edge.get(MASTER, token)).status == 200
        assert (await seats.live(redis, "viewer"))[0].until > edge.clock.now() + 10
        await until_told(redis, ["start"])
        assert (await edge.post("end", token)).status == 204
        await until_told(redis, ["start", "stopend"])
        assert await seats.live(redis, "viewer") == []


async def test_end_frees_the_seat_though_its_page_is_gone_already(folder: Path, redis: Redis, redis_url: str) -> None:
    async with running_edge(folder, redis_url, seat_end_s=0) as edge:
        who = claims(edge.clock.now())
        await local(edge).admit(who, HERE)
        asking = asyncio.create_task(local(edge).end(who))
        await asyncio.sleep(0)
        asking.cancel()
        await until_told(redis, ["start", "stopend"])


async def test_a_screen_that_was_taken_over_stops_once_and_never_comes_back(
    folder: Path, redis: Redis, redis_url: str
) -> None:
    policy = {"seats_policy": "takeover_oldest"}
    async with (
        running_edge(folder, redis_url, **policy) as one,
        running_edge(folder, redis_url, key_set=one.key_set, **policy) as two,
    ):
        await one.until_it_hears()
        old, new = one.token(sid="session-old", cap=1), one.token(sid="session-new", cap=1)
        assert (await one.get(MASTER, old)).status == 200
        assert (await two.get(MASTER, new)).status == 200

        async def evicted() -> bool:
            return (await one.get(MASTER, old)).status == 410

        await until(evicted)
        for _ in range(20):
            assert (await one.get(MASTER, old)).status == (await two.get(MASTER, old)).status == 410
        await until_told(redis, ["start", "stoptaken-over"], "session-old")
        await until_told(redis, ["start"], "session-new")


@pytest.mark.parametrize("kind", ["sid", "sub", "title"])
async def test_bytes_on_their_way_stop_when_the_link_is_withdrawn(edge: EdgeUnderTest, redis: Redis, kind: Any) -> None:
    await edge.until_it_hears()
    who = claims(edge.clock.now(), sid="session-long")
    session = await local(edge).admit(who, HERE)
    assert local(edge).keep(session) and not session.is_over
    key = {"sid": who.sid, "sub": who.sub, "title": TITLE}[kind]
    await seats.revoke(redis, Push(kind, key, who.iat, "revoked"))

    async def stopped() -> bool:
        return bool(session.is_over)

    # Nothing more was asked for: the push alone tells.
    await until(stopped)
    assert not local(edge).keep(session)
    await until_told(redis, ["start", "stoprevoked"])


async def test_bytes_on_their_way_stop_when_another_screen_takes_over(
    folder: Path, redis: Redis, redis_url: str
) -> None:
    policy = {"seats_policy": "takeover_oldest"}
    async with running_edge(folder, redis_url, **policy) as one, running_edge(folder, redis_url, **policy) as two:
        await one.until_it_hears()
        session = await local(one).admit(claims(one.clock.now(), cap=1), HERE)
        await local(two).admit(claims(one.clock.now(), cap=1), HERE)

        async def stopped() -> bool:
            return not local(one).keep(session)

        await until(stopped)


async def test_bytes_on_their_way_keep_the_seat(folder: Path, redis: Redis, redis_url: str) -> None:
    async with running_edge(folder, redis_url, seat_renew_s=0) as edge:
        session = await local(edge).admit(claims(edge.clock.now(), cap=1), HERE)
        first = (await seats.live(redis, "viewer"))[0]

        async def past_the_first_lease() -> bool:
            assert local(edge).keep(session)
            return (await seats.live(redis, "viewer"))[0].until > first.until

        await until(past_the_first_lease)


async def test_a_reader_that_stalled_past_its_lease_gets_no_more(edge: EdgeUnderTest) -> None:
    session = await local(edge).admit(claims(edge.clock.now()), HERE)
    edge.clock.ahead_s = 30
    assert local(edge).keep(session)
    edge.clock.ahead_s = 46 + 45
    assert not local(edge).keep(session)


async def test_bytes_on_their_way_stop_at_the_hard_end(edge: EdgeUnderTest) -> None:
    edge.clock.stop()
    now = edge.clock.now()
    session = await local(edge).admit(claims(now, sid="session-late", hmx=int(now) + 30), HERE)
    edge.clock.ahead_s = 28
    assert local(edge).keep(session)
    edge.clock.ahead_s = 30
    assert not local(edge).keep(session)
    # A later link of the same session plays on, also what was asked for by the earlier one.
    longer = claims(edge.clock.now(), sid="session-late")
    assert await local(edge).admit(longer, HERE) is session
    assert local(edge).keep(session)


async def test_a_seat_that_another_took_in_a_pause_stops_what_was_on_its_way(edge: EdgeUnderTest, redis: Redis) -> None:
    session = await local(edge).admit(claims(edge.clock.now(), sid="session-slow", cap=1), HERE)
    others = itertools.count()

    async def taken() -> bool:
        # An edge that has just heard of Redis registers what runs once more: then the seat has to go again.
        await redis.zrem(seats.keys("viewer")[0], "session-slow")
        with suppress(Refusal):
            await local(edge).admit(claims(edge.clock.now(), sid=f"session-{next(others)}", cap=1), HERE)
        return (await seats.live(redis, "viewer"))[0].sid != "session-slow"

    await until(taken)
    edge.clock.ahead_s = 20

    async def stopped() -> bool:
        return not local(edge).keep(session)

    await until(stopped)
    assert session.is_over


async def test_hard_binding_takes_one_place_a_family_whichever_edge_is_asked(
    folder: Path, redis: Redis, redis_url: str
) -> None:
    async with running_edge(folder, redis_url) as one, running_edge(folder, redis_url, key_set=one.key_set) as two:
        token = one.token(b="hard")
        asked = [
            (one, "192.0.2.1", 200),
            (one, "2001:db8:1::1", 200),
            (one, "2001:db8:1:ff::1", 200),
            (one, "2001:db8:2::1", 403),
            (two, "2001:db8:3::1", 403),
            (two, "198.51.100.1", 403),
            (two, "2001:db8:1::9", 200),
            (two, "192.0.2.9", 200),
            (one, "192.0.2.1", 200),
        ]
        for edge, address, status in asked:
            answer = await edge.get(MASTER, token, address=address)
            assert answer.status == status, address
            assert status == 200 or answer.json()["code"] == "binding"
        (seat,) = await seats.live(redis, "viewer")
        assert seat.place == "192.0.2.0/24"


async def test_hard_binding_holds_the_second_family_to_the_country(folder: Path, redis: Redis, redis_url: str) -> None:
    (folder / "geo.csv").write_text("192.0.2.0/24,FR\n2001:db8:1::/48,DE\n2001:db8:2::/48,FR\n")
    async with running_edge(folder, redis_url, geoip_file=str(folder / "geo.csv")) as edge:
        token = edge.token(b="hard")
        for address, status in (("192.0.2.1", 200), ("2001:db8:1::1", 403), ("2001:db8:2::1", 200)):
            assert (await edge.get(MASTER, token, address=address)).status == status


async def test_a_session_asks_for_segments_too_fast(edge: EdgeUnderTest) -> None:
    edge.clock.stop()
    who = claims(edge.clock.now())
    session = await local(edge).admit(who, HERE)
    held = [local(edge).fetch(session, target(SEGMENT), HERE) for _ in range(70)]
    assert held[0] == 0 and 0 < held[-1] <= 2
    answers = await asyncio.gather(*(edge.get(SEGMENT, edge.token(sid=who.sid)) for _ in range(30)))
    (refused, *_) = [answer for answer in answers if answer.status == 429]
    assert int(refused.headers["retry-after"]) >= 1
