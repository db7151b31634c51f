"""One link in many hands, over two edges on one Valkey: ended everywhere soon after the threshold, and told once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis

from gateway.edge.places import Place
from gateway.edge.refusals import Refusal
from gateway.edge.resolve import target
from gateway.edge.sharing import Finding
from shared import seats
from shared.events import EDGE_STREAM, Envelope
from shared.tokens import Claims
from tests.support.edge import MASTER, TITLE, EdgeUnderTest, claims, running_edge, until

HOMES = tuple(Place(f"192.0.{number}.0/24") for number in range(3))


@pytest.fixture
async def edges(folder: Path, redis_url: str) -> AsyncIterator[tuple[EdgeUnderTest, EdgeUnderTest]]:
    async with running_edge(folder, redis_url) as one, running_edge(folder, redis_url, key_set=one.key_set) as two:
        await one.until_it_hears()
        await two.until_it_hears()
        one.clock.stop()
        two.clock.stop()
        yield one, two


async def fetch(edge: EdgeUnderTest, who: Claims, index: int, place: Place) -> None:
    """One segment, as the hot path does it. Raises Refusal."""
    assert edge.app.edge is not None
    local = edge.app.edge.seats
    segment = target(f"v/{TITLE}/ver1/720/0/{index}.m4s")
    session = local.touch(who, "segment", place) or await local.admit(who, place)
    local.fetch(session, segment, place)
    local.delivered(session, segment, place, whole=True)


async def pass_time(edges: tuple[EdgeUnderTest, ...], seconds: float) -> None:
    """Let time pass, and each edge compare what it saw as it does each second."""
    for edge in edges:
        edge.clock.ahead_s += seconds
    for edge in edges:
        assert edge.app.edge is not None
        await edge.app.edge.seats.comparing.round()


async def sharing(redis: Redis) -> list[Envelope]:
    entries = await redis.xrange(EDGE_STREAM)
    events = [msgspec.json.decode(fields[b"e"], type=Envelope) for _, fields in entries]
    return [event for event in events if event.type == "playback.sharing"]


async def test_three_homes_at_one_link_are_ended_everywhere_and_told_once(
    edges: tuple[EdgeUnderTest, EdgeUnderTest], redis: Redis
) -> None:
    who, other = claims(edges[0].clock.now(), sid="session-shared"), claims(edges[0].clock.now())
    await fetch(edges[0], other, 0, HOMES[0])
    ended: float | None = None
    start = edges[0].clock.tick()
    for second in range(60):
        for number, home in enumerate(HOMES):
            # Two homes reach one edge, the third another: no edge sees three.
            if (second + number) % 4 == 0 and ended is None:
                try:
                    await fetch(edges[number // 2], who, second // 4, home)
                except Refusal as refusal:
                    assert refusal.code == "shared"
                    ended = edges[0].clock.tick() - start
        await pass_time(edges, 1.0)
    # All three came back in two windows of ten seconds within 30 s, and ten more are left for the edges to agree.
    assert ended is not None and ended <= 40

    async def told() -> bool:
        return len(await sharing(redis)) > 0

    await until(told)
    (event,) = await sharing(redis)
    assert event.subject == "session-shared" and event.data["title"] == TITLE
    assert event.data["reason"] in ("interleaved", "replayed") and event.data["score"] >= 1
    token = edges[0].token(sid="session-shared")
    for edge in edges:

        async def is_over(edge: EdgeUnderTest = edge) -> bool:
            return (await edge.get(MASTER, token)).status == 410

        await until(is_over)
        assert (await edge.get(MASTER, token)).json()["code"] == "shared"
    assert await redis.hget(seats.keys("viewer")[2], "session-shared") == b"shared"
    assert [seat.sid for seat in await seats.live(redis, "viewer")] == [other.sid]
    await fetch(edges[0], other, 1, HOMES[0])
    counted = [edge.app.edge.counts.shared for edge in edges if edge.app.edge is not None]
    assert sum(sum(count.values()) for count in counted) == 1


async def test_a_second_home_on_another_edge_is_found_by_what_it_fetches_again(
    edges: tuple[EdgeUnderTest, EdgeUnderTest], redis: Redis
) -> None:
    who = claims(edges[0].clock.now())
    for index in range(50):
        await fetch(edges[0], who, index, HOMES[0])
    await pass_time(edges, 30.0)
    with pytest.raises(Refusal) as caught:
        for second in range(100):
            await fetch(edges[0], who, 50 + second, HOMES[0])
            await fetch(edges[1], who, second, HOMES[1])
            await pass_time(edges, 1.0)
    assert caught.value.code == "shared" and second <= 11 + 10


async def test_one_home_on_two_edges_is_one_hand(edges: tuple[EdgeUnderTest, EdgeUnderTest], redis: Redis) -> None:
    who = claims(edges[0].clock.now())
    for second in range(60):
        await fetch(edges[second % 2], who, second, HOMES[0])
        await pass_time(edges, 1.0)
    assert await sharing(redis) == []


async def test_media_that_several_edges_sent_again_is_summed(
    edges: tuple[EdgeUnderTest, EdgeUnderTest], redis: Redis
) -> None:
    who = claims(edges[0].clock.now())
    with pytest.raises(Refusal) as caught:
        for number in range(1000):
            await fetch(edges[number % 2], who, number % 40, HOMES[0])
            await pass_time(edges, 0.5)
    assert caught.value.code == "shared"
    # 8 s of media a second flow in and 3 out, so 720 s are full after 144 s; each edge alone saw half of that.
    assert 2 * 144 - 10 <= number <= 2 * (144 + 20 + 10)


async def test_a_session_that_two_edges_end_at_once_is_told_of_once(
    edges: tuple[EdgeUnderTest, EdgeUnderTest], redis: Redis
) -> None:
    who = claims(edges[0].clock.now())
    for edge in edges:
        await fetch(edge, who, 0, HOMES[0])
    for edge in edges:
        assert edge.app.edge is not None
        local = edge.app.edge.seats
        session = local.touch(who, "beat", HOMES[0])
        assert session is not None
        local.endings.share(session, Finding("replayed", 1.1))
        assert session.is_over and not local.keep(session)

    async def stopped() -> bool:
        entries = await redis.xrange(EDGE_STREAM)
        return any(b"playback.stop" in fields[b"e"] for _, fields in entries)

    await until(stopped)
    counts = [edge.app.edge.counts.shared["replayed"] for edge in edges if edge.app.edge is not None]
    assert sorted(counts) == [0, 1]
    assert len(await sharing(redis)) == 1


@pytest.mark.parametrize(("device", "replays"), [("one", 11), ("two", 6)])
async def test_a_second_home_that_shows_another_device_is_found_sooner(
    folder: Path, redis_url: str, device: str, replays: int
) -> None:
    for index in range(40):
        part = folder / "bucket" / "v" / TITLE / "ver1" / "720" / "0" / f"{index}.m4s"
        part.write_bytes(b"media")
    async with running_edge(folder, redis_url) as edge:
        token = edge.token(b="soft", d="one")

        async def status(index: int, *, shown: str, address: str) -> int:
            path = f"v/{TITLE}/ver1/720/0/{index}.m4s"
            return (await edge.get(path, token, headers={"cookie": f"usher_device={shown}"}, address=address)).status

        for index in range(20):
            assert await status(index, shown="one", address="192.0.2.1") == 200
        second, ended = 0, 0
        while not ended:
            # The first goes on, and the second fetches again what the first had.
            for shown, address, index in (("one", "192.0.2.1", 20 + second), (device, "198.51.100.1", second)):
                ended = ended or (second if await status(index, shown=shown, address=address) == 410 else 0)
            edge.clock.ahead_s += 1
            second += 1
        # One more comes until both were seen after it, and one until the next judgement.
        assert replays <= ended <= replays + 2
