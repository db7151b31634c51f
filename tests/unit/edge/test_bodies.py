"""Bodies on their way out, and the bodies of beacons on their way in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.edge import bodies
from gateway.edge.objects import CHUNK_BYTES

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


async def test_a_client_that_left_is_noticed_between_two_pieces() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        await asyncio.sleep(0)

    client = bodies.Client(received({"type": "http.disconnect"}), send)
    assert not await client.take(b"one", more=True)
    await client.close()
    assert sent == [{"type": "http.response.body", "body": b"one", "more_body": True}]
