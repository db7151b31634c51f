"""A version that is played while it is made: what is not there yet is waited for, and what never comes is not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from gateway.edge.origin import Reading
from shared import need
from tests.support import unmade
from tests.support.edge import PLAYLIST, TITLE, Answer, EdgeUnderTest, running_edge, until
from tests.support.unmade import BYTES, INIT, VERSION, segment
from tests.support.wire import wire_to

LONG_S = 600
CHUNKS = {"0": 2e13, "1": 1e13, "sound": 2e13}


@pytest.fixture
def bucket(folder: Path) -> Path:
    unmade.begin(folder / "bucket")
    return folder / "bucket"


@pytest.fixture
async def edge(folder: Path, bucket: Path, redis_url: str, redis: Redis) -> AsyncIterator[EdgeUnderTest]:
    """One that holds requests for longer than any test lasts."""
    await redis.zadd(need.of_plan(VERSION), CHUNKS)
    async with running_edge(folder, redis_url, hold_s=LONG_S, holds_session=4, holds=6) as running:
        yield running


def holds(edge: EdgeUnderTest) -> int:
    assert edge.app.edge is not None
    return edge.app.edge.counts.holds


def held(edge: EdgeUnderTest) -> dict[str, int]:
    """How waits ended, as far as any did."""
    assert edge.app.edge is not None
    return {outcome: count for outcome, count in edge.app.edge.counts.held.items() if count}


async def waiting(edge: EdgeUnderTest, count: int) -> None:
    """Until so many requests wait."""

    async def are_held() -> bool:
        return holds(edge) == count

    await until(are_held)


def asks(edge: EdgeUnderTest, key: str, token: str, *, method: str = "GET") -> asyncio.Task[Answer]:
    return asyncio.create_task(edge.ask(method, f"/t/{token}/{key}"))


@pytest.mark.parametrize(("method", "body"), [("GET", BYTES), ("HEAD", b"")])
@pytest.mark.parametrize("key", [segment(3), segment(4, "audio-0"), INIT])
async def test_what_is_being_made_is_waited_for(
    edge: EdgeUnderTest, bucket: Path, key: str, method: str, body: bytes
) -> None:
    asking = asks(edge, key, edge.token(), method=method)
    await waiting(edge, 1)
    unmade.put(bucket, key)

    answer = await asking
    assert (answer.status, answer.body) == (200, body)
    assert answer.headers["content-length"] == str(len(BYTES))
    assert answer.headers["cache-status"] == "usher; fwd=miss; collapsed"
    assert (held(edge), holds(edge)) == ({"served": 1}, 0)


@pytest.mark.parametrize(
    ("key", "chunk"),
    [(segment(1), "0"), (segment(4), "1"), (INIT, "0"), (segment(4, "audio-0"), "sound")],
)
async def test_the_chunk_a_viewer_waits_for_is_wanted_before_all_others(
    edge: EdgeUnderTest, bucket: Path, redis: Redis, key: str, chunk: str
) -> None:
    before = int(time.time() * 1000)
    asking = asks(edge, key, edge.token())
    await raised(redis, chunk)
    unmade.put(bucket, key)
    assert (await asking).status == 200

    scores = dict(await redis.zrange(need.of_plan(VERSION), 0, -1, withscores=True))
    since = scores.pop(chunk.encode()) - need.score(need.WATCHED, 10**6)
    assert before <= since <= time.time() * 1000
    assert scores == {name.encode(): score for name, score in CHUNKS.items() if name != chunk}


async def raised(redis: Redis, chunk: str) -> None:
    """Until a chunk is wanted by viewers."""

    async def is_raised() -> bool:
        return float(await redis.zscore(need.of_plan(VERSION), chunk) or 0) >= need.score(need.WATCHED, 10**6)

    await until(is_raised)


async def test_a_chunk_that_is_offered_late_is_raised_and_none_is_made_up(
    edge: EdgeUnderTest, bucket: Path, redis: Redis
) -> None:
    await redis.delete(need.of_plan(VERSION))
    asking = asks(edge, segment(4), edge.token())
    await waiting(edge, 1)
    assert await redis.exists(need.of_plan(VERSION)) == 0
    await redis.zadd(need.of_plan(VERSION), CHUNKS)
    await raised(redis, "1")
    unmade.put(bucket, segment(4))
    assert (await asking).status == 200


async def test_who_waits_too_long_is_told_to_come_again_and_nothing_is_remembered(
    folder: Path, bucket: Path, redis_url: str
) -> None:
    async with running_edge(folder, redis_url, hold_s=1) as edge:
        token, began = edge.token(), time.monotonic()
        answer = await edge.get(segment(3), token)
        assert time.monotonic() - began >= 0.9
        assert (answer.status, answer.body) == (503, b"")
        assert (answer.headers["retry-after"], answer.headers["cache-control"]) == ("1", "no-store")
        assert held(edge) == {"late": 1}

        unmade.put(bucket, segment(3))
        assert (await edge.get(segment(3), token)).body == BYTES


@pytest.mark.parametrize(
    "name",
    [
        "720/0/5.m4s",
        "720/0/999999999.m4s",
        "audio-0/0/5.m4s",
        "1080/0/0.m4s",
        "720/1/0.m4s",
        "720/0/03.m4s",
        "720/0.m4s",
        "720/0/x.m4s",
        "720/0/init.mp4",
        "1080/init.mp4",
        "poster.jpg",
        "1080/index.m3u8",
        "grid.json",
    ],
)
async def test_what_the_outline_does_not_promise_is_not_waited_for(edge: EdgeUnderTest, name: str) -> None:
    assert (await edge.get(f"v/{TITLE}/{VERSION}/{name}", edge.token())).status == 404
    assert held(edge) == {}


@pytest.mark.parametrize("outline", [None, b"{", b"[]", b'{"job": "j"}'])
async def test_a_version_without_an_outline_has_nothing_to_wait_for(
    edge: EdgeUnderTest, bucket: Path, outline: bytes | None
) -> None:
    if outline is not None:
        unmade.put(bucket, f"v/{TITLE}/ver3/grid.json", outline)
    token = edge.token()
    for _ in range(3):
        assert (await edge.get(f"v/{TITLE}/ver3/720/0/0.m4s", token)).status == 404
    assert held(edge) == {}


async def test_an_outline_that_comes_late_is_found_within_a_second(edge: EdgeUnderTest, bucket: Path) -> None:
    key, token = f"v/{TITLE}/ver3/720/0/0.m4s", edge.token()
    assert (await edge.get(key, token)).status == 404
    unmade.put(bucket, f"v/{TITLE}/ver3/grid.json", (bucket / f"v/{TITLE}/{VERSION}/grid.json").read_bytes())
    edge.clock.ahead_s += 1
    asking = asks(edge, key, token)
    await waiting(edge, 1)
    unmade.put(bucket, key)
    assert (await asking).status == 200
    assert held(edge) == {"served": 1}


async def test_a_version_that_will_not_be_made_is_gone_at_once(edge: EdgeUnderTest, redis: Redis) -> None:
    token = edge.token()
    asking = asks(edge, segment(4), token)
    await waiting(edge, 1)
    await redis.set(need.over(VERSION), 1)
    answer = await asking
    assert (answer.status, answer.headers["cache-control"]) == (410, "no-store")

    assert (await edge.get(segment(3), token)).status == 410
    assert held(edge) == {"over": 2}


async def test_what_a_whole_version_lacks_is_not_waited_for(edge: EdgeUnderTest, bucket: Path) -> None:
    token = edge.token()
    asking = asks(edge, segment(4), token)
    await waiting(edge, 1)
    unmade.put(bucket, f"v/{TITLE}/{VERSION}/ready.json", b"{}")
    edge.clock.ahead_s += 1
    assert (await asking).status == 404
    assert (await edge.get(segment(4), token)).status == 404
    assert held(edge) == {"lost": 1}


async def test_a_session_and_an_edge_hold_so_many_and_no_more(edge: EdgeUnderTest, bucket: Path) -> None:
    one, other = edge.token(), edge.token(sub="other")
    first = [asks(edge, segment(number), one) for number in range(4)]
    await waiting(edge, 4)
    answer = await edge.get(segment(4), one)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    more = [asks(edge, segment(number), other) for number in range(2)]
    await waiting(edge, 6)
    assert (await edge.get(segment(4), other)).status == 503, "the edge is full"
    assert held(edge) == {"refused": 2}

    for number in range(4):
        unmade.put(bucket, segment(number))
    assert {one.status for one in await asyncio.gather(*first, *more)} == {200}
    assert (held(edge), holds(edge)) == ({"refused": 2, "served": 6}, 0)


async def test_who_leaves_frees_the_place(edge: EdgeUnderTest) -> None:
    left = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not left.is_set():
            await left.wait()
        return {"type": "http.disconnect"}

    async def send(_message: Any) -> None: ...

    path = f"/t/{edge.token()}/{segment(4)}"
    scope = {"type": "http", "http_version": "1.1", "method": "GET", "path": path, "raw_path": path.encode()}
    scope |= {"query_string": b"", "headers": [], "client": ("192.0.2.1", 1)}
    asking = asyncio.ensure_future(edge.app(scope, receive, send))
    await waiting(edge, 1)
    left.set()
    await asking
    assert (held(edge), holds(edge)) == ({"left": 1}, 0)


async def test_a_session_that_is_ended_meanwhile_gets_nothing(folder: Path, bucket: Path, redis_url: str) -> None:
    async with running_edge(folder, redis_url, seats_policy="takeover_oldest", hold_s=LONG_S) as edge:
        await edge.until_it_hears()
        old = edge.token(cap=1)
        asking = asks(edge, segment(4), old)
        await waiting(edge, 1)
        assert (await edge.get(PLAYLIST, edge.token(cap=1))).status == 200

        async def is_over() -> bool:
            return (await edge.get(PLAYLIST, old)).status == 410

        await until(is_over)
        unmade.put(bucket, segment(4))
        assert (await asking).status == 410
        assert (held(edge), holds(edge)) == ({"refused": 1}, 0)


async def test_who_asks_again_and_again_for_the_unmade_is_not_taken_for_many(
    folder: Path, bucket: Path, redis_url: str
) -> None:
    async with running_edge(folder, redis_url, hold_s=0, sharing_media_s=20, pace_per_s=1000, pace_burst=1000) as edge:
        for binding in ("soft", "hard"):
            token = edge.token(b=binding)
            answers = [await edge.get(segment(4), token) for _ in range(60)]
            assert {answer.status for answer in answers} == {503}
        unmade.put(bucket, segment(4))
        assert (await edge.get(segment(4), token)).status == 200


async def test_without_redis_it_is_waited_for_all_the_same(folder: Path, bucket: Path, redis_url: str) -> None:
    async with wire_to(redis_url) as wire:
        async with running_edge(folder, redis_url, events_url=wire.url, hold_s=LONG_S) as edge:
            await wire.cut()
            asking = asks(edge, segment(4), edge.token())
            await waiting(edge, 1)
            unmade.put(bucket, segment(4))
            assert (await asking).body == BYTES
            assert held(edge) == {"served": 1}


async def test_one_look_serves_all_who_wait_and_ends_with_the_last(
    folder: Path, bucket: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_edge(folder, redis_url, hold_s=LONG_S) as edge:
        assert edge.app.edge is not None
        read: list[str] = []
        opened = edge.app.edge.origin.open

        async def noting(key: str, *, unless: str = "") -> Reading:
            read.append(key)
            return await opened(key, unless=unless)

        monkeypatch.setattr(edge.app.edge.origin, "open", noting)
        asking = [asks(edge, segment(4), edge.token(sub=f"viewer-{number}")) for number in range(60)]
        await waiting(edge, 60)
        read.clear()

        async def looked_for_three_times() -> bool:
            return read.count(segment(4)) >= 3

        await until(looked_for_three_times)
        assert read.count(segment(4)) == 3
        assert len(read) == read.count(segment(4)), "the outline is known"
        unmade.put(bucket, segment(4))
        assert {answer.body for answer in await asyncio.gather(*asking)} == {BYTES}
        read.clear()
        await asyncio.sleep(0.6)
        assert (read, held(edge)) == ([], {"served": 60})
