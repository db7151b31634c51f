"""Requests of HTTP/1.1 as connections read them: their order, and their bodies."""

from __future__ import annotations

import pytest

from gateway.edge.http1.connection import HIGH_BYTES, SLICE_BYTES
from gateway.edge.http1.server import House
from gateway.edge.http1.turn import BODY_BYTES
from tests.support.http1 import Client, Stage, chunked, get, post, settle

# Order.


async def test_what_is_at_hand_is_answered_within_the_read(client: Client) -> None:
    client.say(get("/t/k/now/0"))
    assert (client.statuses, client.said) == ([200], ["/t/k/now/0"])
    assert b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n" in client.taken


async def test_answers_keep_the_order_of_their_requests(client: Client, stage: Stage) -> None:
    paths = ["/t/k/now/0", "/t/k/later/1", "/t/k/now/2", "/elsewhere", "/t/k/later/3", "/t/k/now/4"]
    client.say(b"".join(map(get, paths)))
    await settle()
    assert client.said == paths[:1] and stage.asked == paths[:2] and not client.is_read
    stage.open(paths[1])
    await settle()
    assert client.said == paths[:4] and stage.asked == paths[:5]
    stage.open(paths[4])
    await settle()
    assert client.said == paths and client.is_read and client.connection.is_idle


@pytest.mark.parametrize("size", [1, 7, 100, SLICE_BYTES, 100_000])
async def test_requests_that_come_in_pieces_are_those_that_come_whole(client: Client, size: int) -> None:
    paths = [f"/t/k/now/{number}" for number in range(150)]
    sent = b"".join(get(path, "X-Long: " + "x" * 200) for path in paths)
    for start in range(0, len(sent), size):
        client.say(sent[start : start + size])
    assert client.said == paths and not client.is_gone


async def test_ten_thousand_requests_ahead_wait_as_bytes_and_are_all_answered(client: Client, stage: Stage) -> None:
    paths = ["/t/k/later/0", *(f"/t/k/now/{number}" for number in range(10_000))]
    client.say(b"".join(map(get, paths)))
    await settle()
    # A slice of them is read at most.
    waiting = client.connection._waiting
    assert 0 < len(waiting) < SLICE_BYTES // 18 and not client.is_read
    client.stall()
    stage.open(paths[0])
    await settle()
    assert len(stage.asked) < 1500 and len(waiting) < SLICE_BYTES // 18
    while client.get_write_buffer_size():
        assert client.get_write_buffer_size() < HIGH_BYTES + 1024
        client.take(10_000)
        await settle()
    assert client.said == paths and client.is_read


# Bodies of requests.


@pytest.mark.parametrize("path", ["/t/k/later/beat", "/elsewhere"])
@pytest.mark.parametrize("step", [1, 50, 100_000])
async def test_a_body_is_read_and_what_follows_is_the_next_request(
    client: Client, stage: Stage, path: str, step: int
) -> None:
    stage.open(path)
    smuggled = get("/t/k/now/smuggled")
    sent = post(path, smuggled) + chunked(path, smuggled, b"!" * 300) + post(path, b"") + get("/t/k/now/next")
    for start in range(0, len(sent), step):
        client.say(sent[start : start + step])
        await settle()
    await settle()
    assert stage.bodies == [smuggled, smuggled + b"!" * 300, b""]
    assert client.said == [path, path, path, "/t/k/now/next"] and not client.is_gone


async def test_a_body_behind_another_request_waits_with_it(client: Client, stage: Stage) -> None:
    sent = get("/t/k/later/0") + post("/t/k/act", b"x" * 20_000) + get("/t/k/now/2")
    client.say(sent)
    await settle()
    assert not client.is_read and stage.asked == ["/t/k/later/0"]
    request = client.connection._waiting[-1]
    assert len(request.early) <= SLICE_BYTES
    stage.open("/t/k/later/0")
    await settle()
    assert stage.bodies == [b"x" * 20_000] and client.said == ["/t/k/later/0", "/t/k/act", "/t/k/now/2"]


async def test_a_body_that_nobody_reads_yet_is_held_back(client: Client, stage: Stage) -> None:
    body = b"y" * 300_000
    path = "/t/k/later/slow"
    client.say(post(path, body))
    await settle()
    turn = client.connection._turn
    assert turn is not None and len(turn._body) <= BODY_BYTES + SLICE_BYTES and not client.is_read
    stage.open(path)
    await settle()
    assert stage.bodies == [body] and client.said == [path] and client.is_read


async def test_a_body_in_the_smallest_pieces_costs_its_bytes_only(client: Client, stage: Stage) -> None:
    path = "/t/k/later/crumbs"
    client.say(chunked(path, *(b"ab" for _ in range(30_000))))
    await settle()
    turn = client.connection._turn
    assert turn is not None and turn._body.__sizeof__() < 2 * BODY_BYTES
    stage.open(path)
    await settle()
    assert stage.bodies == [b"ab" * 30_000]


async def test_an_answer_before_the_body_came_ends_the_connection_and_reads_on_a_moment(client: Client) -> None:
    client.say(get("/t/k/refused", "Content-Length: 5", method="PUT"))
    await settle()
    assert client.said == ["/t/k/refused"] and b"\r\nconnection: close\r\n" in client.taken
    assert client.is_ended and not client.is_gone
    client.say(b"hello" + get("/t/k/now/after"))
    assert client.said == ["/t/k/refused"]
    client.end()
    assert client.is_gone and not client.is_aborted


async def test_fields_after_a_body_are_nobodys_and_bounded(client: Client, stage: Stage) -> None:
    client.say(get("/t/k/later/0"))
    client.say(chunked("/elsewhere", b"x", trailer="Cookie: forged\r\n"))
    stage.open("/t/k/later/0")
    await settle()
    assert client.said == ["/t/k/later/0", "/elsewhere"]
    assert stage.headers == [[(b"host", b"edge"), (b"transfer-encoding", b"chunked")]]
    client.say(chunked("/elsewhere", b"x")[:-2])
    for _ in range(12):
        client.say(b"x-more: " + b"x" * 4000 + b"\r\n")
        await settle()
    assert client.is_ended and client.statuses == [200, 404, 404]


async def test_extensions_of_chunks_are_bounded(client: Client, stage: Stage) -> None:
    client.say(get("/elsewhere", "Transfer-Encoding: chunked", method="POST") + b"1;")
    for _ in range(12):
        client.say(b"x" * 4000)
        await settle()
    assert client.is_ended and client.statuses == [404]


@pytest.mark.parametrize("path", ["/t/k/later/beat", "/elsewhere"])
@pytest.mark.parametrize("how", ["end", "garbage", "lost"])
async def test_a_body_that_breaks_off_keeps_nobody_waiting(
    client: Client, stage: Stage, house: House, path: str, how: str
) -> None:
    stage.open(path)
    client.say(get(path, "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n")
    await settle()
    match how:
        case "end":
            client.end()
        case "garbage":
            client.say(b"zz\r\n")
        case _:
            client.lose()
    await settle()
    assert stage.bodies == [b"hello"] and not house.tasks
    assert client.is_ended or client.is_gone
    assert len(client.statuses) == (how != "lost")


async def test_a_request_in_part_behind_others_is_dropped_and_they_are_answered(client: Client, stage: Stage) -> None:
    client.stall()
    client.say(get("/t/k/big/100000"))
    client.say(get("/t/k/now/1") + get("/t/k/act", "Content-Length: 9", method="POST") + b"half")
    client.connection.eof_received()
    client.take(1 << 20)
    await settle()
    client.take(1 << 20)
    assert stage.asked == ["/t/k/big/100000", "/t/k/now/1"] and client.is_ended


async def test_100_is_said_to_who_waits_for_it_and_to_nobody_else(client: Client, stage: Stage) -> None:
    expect = "Expect: 100-continue"
    client.say(get("/t/k/act", expect, "Content-Length: 5", method="POST"))
    await settle()
    assert client.statuses == [100]
    client.say(b"hello")
    await settle()
    client.say(post("/t/k/act", b"hello", expect))
    client.say(get("/t/k/now/0", expect))
    await settle()
    assert client.statuses == [100, 200, 200, 200] and stage.bodies == [b"hello"] * 2
    client.say(get("/t/k/act", expect, "Content-Length: 5", method="POST") + b"he")
    await settle()
    client.say(b"llo")
    await settle()
    assert client.statuses == [100, 200, 200, 200, 200] and stage.bodies == [b"hello"] * 3
    client.say(get("/t/k/act", expect, "Content-Length: 5", method="POST", version="1.0"))
    await settle()
    client.say(b"hello")
    await settle()
    assert client.statuses == [100, 200, 200, 200, 200, 200]
