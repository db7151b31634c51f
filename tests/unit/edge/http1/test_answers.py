"""Answers of HTTP/1.1: what is said of them and of connections, and no faster than they are taken."""

from __future__ import annotations

import pytest

from gateway.edge.http1.connection import HEAD_BYTES, HIGH_BYTES
from gateway.edge.http1.outlet import AT_ONCE_BYTES
from gateway.edge.http1.server import House
from tests.support.http1 import CHUNK, Client, Stage, client_of, get, settle

# What is said of answers and connections.


async def test_answers_without_bodies_have_none(client: Client, stage: Stage) -> None:
    client.say(get("/elsewhere", method="HEAD") + get("/t/k/nothing", "Content-Length: 1", method="POST") + b"x")
    await settle()
    assert client.statuses == [404, 204] and client.said == []
    assert b"content-length: 12\r\n" in client.taken and not client.is_gone
    assert stage.after == ["http.disconnect"]


@pytest.mark.parametrize(
    "request_",
    [
        get("/t/k/now/0", version="1.0"),
        get("/t/k/now/0", "Connection: keep-alive", version="1.0"),
        get("/t/k/now/0", "Connection: close"),
    ],
)
async def test_the_last_answer_says_so_and_ends_the_connection(client: Client, request_: bytes) -> None:
    client.say(request_)
    await settle()
    assert client.said == ["/t/k/now/0"] and client.taken.count(b"connection: close\r\n") == 1
    assert client.is_gone and not client.is_aborted


async def test_what_follows_the_last_request_is_not_answered(client: Client) -> None:
    client.say(get("/t/k/now/0", "Connection: close") + get("/t/k/now/1"))
    await settle()
    assert client.said == ["/t/k/now/0"] and client.is_ended


@pytest.mark.parametrize(
    "request_",
    [
        get("/t/k/now/0", "Connection: upgrade", "Upgrade: h2c"),
        get("edge:443", method="CONNECT"),
        get("/t/k/now/0", "Connection: upgrade", "Upgrade: h2c", "Content-Length: 3", method="POST") + b"abc",
    ],
)
async def test_who_would_speak_otherwise_is_answered_once(client: Client, request_: bytes) -> None:
    client.say(request_ + get("/t/k/now/smuggled"))
    client.say(get("/t/k/now/smuggled"))
    await settle()
    assert len(client.statuses) == 1 and client.is_ended and "/t/k/now/smuggled" not in client.said
    assert client.taken.count(b"connection: close\r\n") == 1


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("http://edge/t/k/now/0", "/t/k/now/0"),
        ("http://other.example:81/t/k/now/0?x=y", "/t/k/now/0"),
        ("http://edge", "/"),
        ("*", "*"),
        ("//edge/x", "//edge/x"),
    ],
)
async def test_targets_are_paths_whatever_their_form(client: Client, stage: Stage, target: str, path: str) -> None:
    client.say(get(target, method="GET" if target != "*" else "OPTIONS"))
    await settle()
    assert stage.asked == [path] and len(client.statuses) == 1 and not client.is_gone


@pytest.mark.parametrize(
    ("garbage", "status"),
    [
        (b"\x16\x03\x01\x02\x00", 400),
        (b"GET /\r\n\r\n", 505),
        (get("/t/k/now/0", version="2.0"), 505),
        (get("/t/k/now/0", version="1.2"), 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (get("/t/k/act", "Content-Length: 1", "Content-Length: 1", method="POST") + b"x", 400),
        (get("/t/k/act", "Content-Length: 1", "Transfer-Encoding: chunked", method="POST"), 400),
        (get("/t/k/act", "Transfer-Encoding : chunked", method="POST"), 400),
        (get("/t/k/now/0", "X: a\0b"), 400),
        (get("/t/k/now/0").replace(b"edge", b"a\r\n b\r\n c"), 400),
    ],
)
async def test_what_is_no_request_is_refused_once_and_after_those_before_it(
    client: Client, stage: Stage, house: House, garbage: bytes, status: int
) -> None:
    follower = get("/t/k/now/after")
    client.say(garbage + follower)
    await settle()
    assert client.statuses == [status] and client.is_ended and b"connection: close" in client.taken
    other = client_of(house)
    other.say(get("/t/k/later/0") + get("/t/k/now/1") + garbage + follower)
    await settle()
    assert other.statuses == []
    stage.open("/t/k/later/0")
    await settle()
    assert other.said == ["/t/k/later/0", "/t/k/now/1"] and other.is_ended


async def test_heads_are_bounded_exactly_enough_however_they_come(house: House) -> None:
    for step in (100, 5000, 1 << 20):
        for name, size, statuses in (("url", 24_000, [404]), ("url", 40_000, [431]),
                                     ("field", 24_000, [404]), ("field", 40_000, [431]),
                                     ("fields", 24_000, [404]), ("fields", 1_000_000, [431])):  # fmt: skip
            client = client_of(house)
            fields = {"url": [], "field": ["X: " + "x" * size], "fields": ["X: yyyyyyyyyyyy"] * (size // 17)}[name]
            sent = get("/" + "x" * (size if name == "url" else 1), *fields)
            for start in range(0, len(sent), step):
                if client.is_read:
                    client.say(sent[start : start + step])
            await settle()
            assert client.statuses == statuses, (name, size, step)


async def test_requests_ahead_are_not_taken_for_one_large_head(client: Client) -> None:
    paths = [f"/t/k/now/{number}" for number in range(3000)]
    sent = b"".join(map(get, paths))
    client.say(sent[:-5])
    assert client.said == paths[:-1]
    client.say(sent[-5:])
    assert client.said == paths and len(sent) > 2 * HEAD_BYTES


# Back-pressure.


async def test_a_client_that_takes_nothing_is_written_a_bounded_part(client: Client, stage: Stage) -> None:
    client.stall()
    client.say(get(f"/t/k/big/{40 * CHUNK}"))
    await settle()
    assert HIGH_BYTES < client.get_write_buffer_size() <= AT_ONCE_BYTES + 1000
    most = client.get_write_buffer_size()
    client.take(most - 1000)
    await settle()
    # The next piece is on its way, and who sends it waits until it is taken: much may happen until then.
    assert client.get_write_buffer_size() > HIGH_BYTES and stage.handed_on == 0
    while client.get_write_buffer_size():
        client.take(20_000)
        await settle()
        assert client.get_write_buffer_size() <= most
    head, _, body = bytes(client.taken).partition(b"\r\n\r\n")
    assert len(body) == 40 * CHUNK and head.startswith(b"HTTP/1.1 200 ") and client.connection.is_idle


async def test_the_next_request_waits_until_an_answer_is_taken(client: Client, stage: Stage) -> None:
    client.stall()
    client.say(get("/t/k/big/131072"))
    client.say(get("/t/k/now/1") + get("/elsewhere"))
    await settle()
    assert stage.asked == ["/t/k/big/131072"] and not client.is_read
    client.take(1 << 20)
    await settle()
    client.take(1 << 20)
    await settle()
    client.take(1 << 20)
    assert client.said == ["/t/k/big/131072", "/t/k/now/1", "/elsewhere"] and client.is_read
