"""The players of `make load`: how they read, estimate, buffer, and when a run is called broken."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from benchmarks.locust import film, player, thresholds
from benchmarks.locust.delay import Delay
from benchmarks.locust.player import Buffer, Rung, Throughput
from benchmarks.locust.thresholds import Result, Timing
from tests.support.ports import free_base

RUNGS = tuple(Rung(bits, f"/{bits}") for bits in (500_000, 1_000_000, 3_000_000))


def test_player_finds_every_rung_and_segment_of_the_film(tmp_path: Path) -> None:
    link = f"/t/token/{film.fill(tmp_path)}"
    shown = player.multivariant((tmp_path / film.MASTER).read_text(), link)
    assert [rung.bandwidth for rung in shown.rungs] == [bits + film.SOUND_BITS_PER_S for bits in film.LADDER.values()]
    for url in (*(rung.url for rung in shown.rungs), shown.sound):
        path = tmp_path / url.removeprefix("/t/token/")
        listed = player.media(path.read_text(), url)
        assert len(listed.segments) == film.SEGMENTS
        urls = [listed.init, *(segment for segment, _ in listed.segments)]
        assert all((tmp_path / one.removeprefix("/t/token/")).is_file() for one in urls)


@pytest.mark.parametrize("read", [player.multivariant, player.media])
def test_playlist_that_lists_nothing_is_refused(read: object) -> None:
    with pytest.raises(ValueError, match="is listed"):
        read("#EXTM3U\n", "/x.m3u8")  # type: ignore[operator]


@pytest.mark.parametrize(("bits", "place"), [(0, 0), (600_000, 0), (1_500_000, 1), (9_000_000, 2)])
def test_rung_leaves_room(bits: float, place: int) -> None:
    assert player.choose(RUNGS, bits) == place


def test_throughput_falls_faster_than_it_rises() -> None:
    seen = Throughput()
    assert seen.bits_per_s() == 0.0
    for _ in range(20):
        seen.note(1_000_000, 1.0)
    assert seen.bits_per_s() == pytest.approx(8e6)
    seen.note(100_000, 4.0)
    low = seen.bits_per_s()
    assert low < 4e6
    seen.note(4_000_000, 4.0)
    assert seen.bits_per_s() < 7e6


def test_buffer_plays_drains_and_stalls_by_the_clock() -> None:
    buffer = Buffer()
    assert not buffer.add(3.0, 0.0)
    assert buffer.add(3.0, 2.0)
    buffer.drain(7.0)
    assert (buffer.level_s, buffer.stalls) == (1.0, 0)
    assert buffer.wait_s(4.0, 7.0) == 0.0
    buffer.drain(9.0)
    assert (buffer.level_s, buffer.stalls, buffer.is_playing) == (0.0, 1, False)
    assert buffer.add(player.FULL_S, 20.0)
    assert (buffer.stalls, buffer.wait_s(4.0, 21.0)) == (1, 3.0)


def test_seek_is_no_stall() -> None:
    buffer = Buffer()
    buffer.add(10.0, 0.0)
    buffer.seek(1.0)
    buffer.drain(5.0)
    assert (buffer.level_s, buffer.stalls) == (0.0, 0)
    assert buffer.add(4.0, 6.0)


GOOD = Result(
    players=3,
    started=3,
    stalls=0,
    seeks=0,
    switches=0,
    bytes=1,
    timings=[Timing("segment", 9, 0, 1.0, 2.0, 3.0), Timing("seek", 1, 0, 9e9, 9e9, 9e9)],
    refused_sharers=1,
    refused_fighters=1,
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"started": 2}, ["2 of 3 players started"]),
        ({"stalls": 1}, ["1 stalls after the start"]),
        ({"errors": ["1 x e"]}, ["1 x e"]),
        ({"refused_sharers": 0}, ["no shared link was refused"]),
        ({"refused_fighters": 0}, ["no screen over the cap was refused"]),
        ({"timings": [Timing("init", 9, 2, 1, 1, 1)]}, ["init: 2 of 9 failed"]),
        ({"timings": [Timing("segment", 9, 0, 1, 501, 600)]}, ["segment: p95 is 501 ms, over 400 ms"]),
    ],
)
def test_run_is_broken_by_each_threshold(changes: dict[str, object], words: list[str]) -> None:
    assert thresholds.broken(msgspec.structs.replace(GOOD, **changes), players=3, refuses=True) == words


def test_nginx_need_not_refuse() -> None:
    found = msgspec.structs.replace(GOOD, refused_sharers=0, refused_fighters=0)
    assert thresholds.broken(found, players=3, refuses=False) == []


async def test_delay_is_late_and_changes_nothing() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        await writer.drain()
        writer.close()

    port = free_base(2)
    server = await asyncio.start_server(echo, "127.0.0.1", port)
    async with server, Delay(port + 1, port, delay_s=0.2):
        reader, writer = await asyncio.open_connection("127.0.0.1", port + 1)
        start = time.monotonic()
        writer.write(b"hello")
        assert await reader.read() == b"hello"
        assert time.monotonic() - start >= 0.2
        writer.close()
