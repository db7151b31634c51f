"""Bodies on their way out, and the bodies of beacons on their way in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.edge import bodies
from gateway.edge.objects import CHUNK_BYTES
from gateway.edge.speeds import PROOF_BYTES, SMALL_BYTES, Speed, Speeds

DATA = bytes(range(256)) * 2000


@pytest.mark.parametrize(("start", "end"), [(0, len(DATA)), (1, 2), (CHUNK_BYTES - 1, CHUNK_BYTES + 1), (5, 400_000)])
async def test_a_file_is_read_from_start_to_end(tmp_path: Path, start: int, end: int) -> None:
    (tmp_path / "x").write_bytes(DATA)
    pieces = [piece async for piece in bodies.read(str(tmp_path / "x"), start, end)]
    assert b"".join(pieces) == DATA[start:end]
    assert max(map(len, pieces)) <= CHUNK_BYTES


async def test_a_file_that_became_shorter_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(DATA[:1000])
    with pytest.raises(OSError, match="shorter"):
        _ = [piece async for piece in bodies.read(str(tmp_path / "x"), 0, 2000)]


def received(*messages: dict[str, Any]) -> bodies.Receive:
    left = list(messages)

    async def receive() -> Any:
        return left.pop(0) if left else await asyncio.Future()

    return receive


async def test_a_beacons_body_is_read_to_its_end() -> None:
    rest = {"type": "http.request", "body": b"x" * 65_000, "more_body": False}
    receive = received({"type": "http.request", "body": b"x", "more_body": True}, rest, {"type": "http.disconnect"})
    await bodies.drop(receive)
    assert (await receive())["type"] == "http.disconnect"


async def test_a_body_without_end_is_not_read_for_ever() -> None:
    piece = {"type": "http.request", "body": b"x" * 16_384, "more_body": True}
    await bodies.drop(received(*[piece] * 8))


class Wire:
    """A client's side: what was sent, on a clock that each send moves on."""

    def __init__(self, *, step_s: float = 0.0) -> None:
        self.pieces: list[bytes] = []
        self.more: list[bool] = []
        self.now, self.step_s = 0.0, step_s

    async def send(self, message: Any) -> None:
        self.pieces.append(message["body"])
        self.more.append(message["more_body"])
        self.now += self.step_s
        await asyncio.sleep(0)

    def tick(self) -> float:
        return self.now

    def client(self, speed: Speed, *, gone: bool = False, may_go_on: bool = True) -> bodies.Client:
        receive = received({"type": "http.disconnect"}) if gone else received()
        return bodies.Client(receive, self.send, speed=speed, may_go_on=lambda: may_go_on, tick=self.tick)


CHUNK = DATA[:CHUNK_BYTES]


async def test_a_client_that_left_is_noticed_between_two_pieces() -> None:
    wire = Wire()
    client = wire.client(Speed(wire.tick), gone=True)
    assert not await client.take(CHUNK, more=True)
    await client.close()
    assert wire.pieces == [CHUNK[:SMALL_BYTES]]
    assert wire.more == [True]


async def test_an_ended_session_gets_no_more_of_a_body() -> None:
    wire = Wire()
    client = wire.client(Speed(wire.tick), may_go_on=False)
    assert not await client.take(CHUNK, more=True)
    await client.close()
    assert client.sent == len(wire.pieces[0]) == SMALL_BYTES


async def test_who_is_not_known_to_be_quick_gets_small_pieces_of_the_same_bytes() -> None:
    wire = Wire()
    client = wire.client(Speed(wire.tick))
    assert await client.take(CHUNK, more=False)
    await client.close()
    assert b"".join(wire.pieces) == CHUNK
    assert {len(piece) for piece in wire.pieces} == {SMALL_BYTES}
    assert wire.more == [True] * (CHUNK_BYTES // SMALL_BYTES - 1) + [False]


async def test_a_quick_client_gets_whole_chunks_until_it_lets_one_wait() -> None:
    wire = Wire(step_s=0.001)
    speed = Speed(wire.tick)
    speed.begin()
    client = wire.client(speed)
    for _ in range(PROOF_BYTES // CHUNK_BYTES):
        await client.take(CHUNK, more=True)
    assert speed.is_quick
    wire.pieces.clear()
    await client.take(CHUNK, more=True)
    assert wire.pieces == [CHUNK]
    wire.step_s = 60.0
    await client.take(CHUNK, more=True)
    wire.pieces.clear()
    await client.take(CHUNK, more=False)
    await client.close()
    assert {len(piece) for piece in wire.pieces} == {SMALL_BYTES}


async def test_a_slow_client_stays_with_small_pieces() -> None:
    wire = Wire(step_s=SMALL_BYTES / 10_000)
    speed = Speed(wire.tick)
    speed.begin()
    client = wire.client(speed)
    for _ in range(16):
        await client.take(CHUNK, more=True)
    await client.close()
    assert not speed.is_quick
    assert {len(piece) for piece in wire.pieces} == {SMALL_BYTES}


@pytest.mark.parametrize(("seconds", "is_quick"), [(0.2, True), (30.0, False)])
def test_the_next_request_of_a_connection_tells_when_the_last_body_was_taken(seconds: float, is_quick: bool) -> None:
    now = [0.0]
    speeds = Speeds(lambda: now[0])
    speeds.of(("192.0.2.1", 4), "1.1").sent(200_000)
    now[0] = seconds
    assert speeds.of(("192.0.2.1", 4), "1.1").is_quick == is_quick
    assert not speeds.of(("192.0.2.1", 5), "1.1").is_quick


def test_streams_of_one_connection_tell_nothing_of_each_other() -> None:
    now = [0.0]
    speeds = Speeds(lambda: now[0])
    slow = speeds.of(("192.0.2.1", 4), "2")
    assert slow.is_quick
    now[0] = 60.0
    slow.waited(0.0)
    assert not slow.is_quick
    assert speeds.of(("192.0.2.1", 4), "2").is_quick
