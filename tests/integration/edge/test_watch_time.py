"""Watch time on its way to control: what the stream says is what was received, through outages, wipes and the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

from shared.watch import WATCH_STREAM, Watched
from tests.support.edge import MASTER, SEGMENT, SEGMENT_BYTES, TITLE, EdgeUnderTest, running_edge, until
from tests.support.ports import free_port
from tests.support.valkey import Valkey, valkey

SEGMENTS = 40


@pytest.fixture
def server() -> Iterator[Valkey]:
    with valkey(free_port()) as running:
        yield running


@pytest.fixture
async def direct(server: Valkey) -> AsyncIterator[Redis]:
    client = Redis.from_url(server.url, retry=Retry(ConstantBackoff(0.05), 20))
    yield client
    await client.aclose()


@pytest.fixture
def film(folder: Path) -> Path:
    """A title of some length, with sound."""
    for rendition in ("720", "audio-0"):
        for index in range(SEGMENTS):
            (folder / f"bucket/v/{TITLE}/ver1/{rendition}/0/{index}.m4s").write_bytes(SEGMENT_BYTES[:1000])
    return folder


def segment(index: int, *, sound: bool = False) -> str:
    return f"v/{TITLE}/ver1/{'audio-0' if sound else '720'}/0/{index}.m4s"


async def entries(redis: Redis) -> list[Watched]:
    return [msgspec.json.decode(fields[b"w"], type=Watched) for _, fields in await redis.xrange(WATCH_STREAM)]


def indexes(told: list[Watched], *, sound: bool = False) -> Counter[int]:
    """How often each index was told."""
    found: Counter[int] = Counter()
    for entry in told:
        bits = int.from_bytes(entry.sound_bits if sound else entry.bits, "little")
        found.update(entry.base + number for number in range(bits.bit_length()) if bits >> number & 1)
    return found


async def until_some(redis: Redis) -> None:
    async def there() -> bool:
        return bool(await redis.xlen(WATCH_STREAM))

    await until(there)


async def until_indexes(redis: Redis, picture: set[int], sound: set[int]) -> list[Watched]:
    async def there() -> bool:
        told = await entries(redis)
        return set(indexes(told)) == picture and set(indexes(told, sound=True)) == sound

    await until(there)
    return await entries(redis)


async def test_the_stream_says_once_what_was_received(film: Path, redis: Redis, redis_url: str) -> None:
    async with running_edge(film, redis_url) as edge:
        token = edge.token(sid="session-watch")
        received: dict[bool, set[int]] = {False: set(), True: set()}
        for index in range(20):
            for sound in (False, True)[: 1 + index % 2]:
                answer = await edge.get(segment(index, sound=sound), token)
                assert answer.status == 200 and len(answer.body) == 1000
                received[sound].add(index)
            # Each renewal tells what is new.
            edge.clock.ahead_s += 4
            if index == 10:
                await until_some(redis)
        # None of these is a segment received whole.
        assert (await edge.get(segment(30), token, headers={"range": "bytes=0-99"})).status == 206
        assert (await edge.ask("HEAD", f"/t/{token}/{segment(31)}")).status == 200
        assert (await edge.get(segment(99), token)).status == 404
        etag = (await edge.get(segment(0), token)).headers["etag"]
        assert (await edge.get(segment(32), token, headers={"if-none-match": etag})).status in (200, 304)

        async def told_so_far() -> bool:
            return edge.app.edge is not None and edge.app.edge.watch_time.waiting == 0

        # What is being told when an edge ends may come twice.
        await until(told_so_far)
    told = await entries(redis)
    assert set(indexes(told)) - {32} == received[False] and set(indexes(told, sound=True)) == received[True]
    assert set(indexes(told).values()) == set(indexes(told, sound=True).values()) == {1}
    assert len(told) >= 2
    assert {(one.sid, one.sub, one.title, one.version) for one in told} == {("session-watch", "viewer", TITLE, "ver1")}
    assert all(abs(one.at - edge.clock.now()) < 200 for one in told)


async def test_the_end_of_an_edge_tells_what_is_left(film: Path, redis: Redis, redis_url: str) -> None:
    async with running_edge(film, redis_url) as edge:
        token = edge.token()
        for index in (1, 2, 3):
            await edge.get(segment(index), token)
    assert set(indexes(await entries(redis))) == {1, 2, 3}


async def test_a_page_that_closes_tells_what_is_left(film: Path, redis: Redis, redis_url: str) -> None:
    async with running_edge(film, redis_url) as edge:
        token = edge.token()
        await edge.get(segment(7), token)
        await edge.post("end", token)
        await until_indexes(redis, {7}, set())


async def test_a_position_is_told_with_and_without_media(film: Path, redis: Redis, redis_url: str) -> None:
    async with running_edge(film, redis_url, seat_end_s=0) as edge:
        await edge.until_it_hears()  # else what it renews then may tell of the media alone
        token = edge.token()
        await edge.get(segment(7), token)
        for told in ("12.5", "nan", "-1", "inf", "1e999", "x"):
            assert (await edge.ask("POST", f"/t/{token}/beat?t={told}")).status in (204, 400)
        await edge.post("end", token)
        (entry,) = await until_indexes(redis, {7}, set())
        assert entry.position_s == 12.5
        only = edge.token()
        await edge.get(MASTER, only)
        assert (await edge.ask("POST", f"/t/{only}/beat?t=99")).status == 204
        await edge.post("end", only)

        async def there() -> bool:
            return len(await entries(redis)) == 2

        await until(there)
        last = (await entries(redis))[-1]
        assert (last.title, last.version, last.position_s, last.bits) == (TITLE, "", 99.0, b"")


async def test_nothing_is_lost_while_redis_is_away(film: Path, server: Valkey, direct: Redis) -> None:
    async with running_edge(film, server.url) as edge:
        token = edge.token()
        await edge.get(segment(0), token)
        server.kill()
        for index in range(1, 10):
            assert (await edge.get(segment(index), token)).status == 200
            edge.clock.ahead_s += 4
        await edge.post("end", token)
        server.start()
        await until_indexes(direct, set(range(10)), set())


async def test_a_stream_that_was_wiped_is_told_again(film: Path, server: Valkey, direct: Redis) -> None:
    async with running_edge(film, server.url) as edge:
        await edge.until_it_hears()
        token = edge.token()
        for index in (3, 4):
            await edge.get(segment(index), token)
        for _ in range(2):  # the first renewal may be over before the segment is
            edge.clock.ahead_s += 16
            await edge.get(segment(5), token)
        await until_indexes(direct, {3, 4, 5}, set())
        await direct.flushall()
        await until_indexes(direct, {3, 4, 5}, set())


async def test_each_title_of_a_session_is_told_apart(film: Path, redis: Redis, redis_url: str) -> None:
    other: dict[str, Any] = {"scope": "v/ttl_a2/", "sid": "session-two"}
    async with running_edge(film, redis_url) as edge:
        one, two = edge.token(sid="session-two"), edge.token(**other)
        await edge.get(SEGMENT, one)
        await edge.get(SEGMENT.replace(TITLE, "ttl_a2"), two)
        await edge.get(segment(1), one)
    all_told = await entries(redis)
    told = {title: set(indexes([one for one in all_told if one.title == title])) for title in (TITLE, "ttl_a2")}
    assert told == {TITLE: {0, 1}, "ttl_a2": {0}}


async def test_viewers_do_not_wait_for_the_stream(edge: EdgeUnderTest, redis: Redis) -> None:
    await redis.set(WATCH_STREAM, "in the way")
    token = edge.token()
    for _ in range(3):
        assert (await edge.get(SEGMENT, token)).status == 200
        edge.clock.ahead_s += 16
    await redis.delete(WATCH_STREAM)
    await until_indexes(redis, {0}, set())
