"""HTTP/1.1 in cleartext as connections speak it: order, bodies, back-pressure, ends; over a transport that records."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import cast

import pytest
from structlog.testing import capture_logs

from gateway.edge.http1.connection import HEAD_BYTES, HIGH_BYTES, SLICE_BYTES, Connection
from gateway.edge.http1.outlet import AT_ONCE_BYTES
from gateway.edge.http1.server import House
from gateway.edge.http1.turn import BODY_BYTES
from gateway.edge.playback import Playback
from shared.settings import EdgeSettings
from tests.support.http1 import CHUNK, Client, Clock, Session, Stage

SETTINGS = EdgeSettings(connections=128, keep_alive_s=75, head_s=15, stall_s=300, stop_s=1)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def house(stage: Stage, clock: Clock) -> House:
    return House(cast(Playback, stage), stage.rest, SETTINGS, now=lambda: 0.0, tick=clock)


def client_of(house: House) -> Client:
    client = Client()
    client.connection = Connection(house)
    client.connection.connection_made(client)
    return client


@pytest.fixture
async def client(house: House) -> Client:
    return client_of(house)


def get(path: str, *fields: str, version: str = "1.1", method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: edge", *fields, "", ""]).encode()


def post(path: str, body: bytes, *fields: str) -> bytes:
    return get(path, f"Content-Length: {len(body)}", *fields, method="POST") + body


def chunked(path: str, *pieces: bytes, trailer: str = "") -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailer.encode() + b"\r\n"
    return get(path, "Transfer-Encoding: chunked", method="POST") + body


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


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


# Ends.


async def test_who_sends_no_more_is_answered_to_the_end(client: Client, stage: Stage) -> None:
    client.say(get("/t/k/later/0") + get("/t/k/now/1"))
    client.end()
    assert not client.is_gone
    stage.open("/t/k/later/0")
    await settle()
    assert client.said == ["/t/k/later/0", "/t/k/now/1"] and client.is_ended
    client.end()
    assert client.is_gone and not client.is_aborted


async def test_who_leaves_between_requests_is_forgotten(client: Client, house: House) -> None:
    client.say(get("/t/k/now/0") + b"GET /t")
    client.end()
    await settle()
    assert client.is_gone and not house._connections


@pytest.mark.parametrize("path", ["/t/k/later/0", f"/t/k/big/{40 * CHUNK}"])
async def test_a_client_that_is_lost_leaves_nothing_behind(
    client: Client, stage: Stage, house: House, path: str
) -> None:
    client.stall()
    client.say(get(path) + get("/t/k/now/1"))
    await settle()
    assert house.tasks
    client.lose()
    await settle()
    stage.open(path)
    await settle()
    assert not house.tasks and not house._connections and stage.asked == [path]


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def test_a_connection_needs_no_collector_to_go(uncollected: None, house: House, stage: Stage) -> None:
    for how in ("now", "later", f"big/{2 * CHUNK}", f"big/{40 * CHUNK}"):
        client = client_of(house)
        client.stall()
        client.say(get(f"/t/k/{how}/0"))
        stage.open(f"/t/k/{how}/0")
        await settle()
        client.lose()
        await settle()
        del client.connection, client
        assert not [one for one in gc.get_objects() if type(one) is Connection], how


async def test_a_fault_of_a_task_is_500_or_a_cut_and_is_told(client: Client, house: House, stage: Stage) -> None:
    with capture_logs() as lines:
        client.say(get("/t/k/later/fault", "Connection: close") + get("/t/k/now/1"))
        stage.open("/t/k/later/fault")
        await settle()
    assert client.statuses == [500] and client.is_ended and not house.tasks
    assert [line["event"] for line in lines] == ["a request failed"]


async def test_an_answer_that_stops_short_is_a_cut(client: Client, stage: Stage) -> None:
    stage.open("/t/k/later/short")
    client.say(get("/t/k/later/short") + get("/t/k/now/1"))
    await settle()
    assert client.is_aborted and client.statuses == [200] and client.said == []


async def test_a_fault_within_the_read_cuts_the_connection_and_is_told(client: Client) -> None:
    with capture_logs() as lines:
        client.say(get("/t/k/fault/0") + get("/t/k/now/1"))
    assert client.is_aborted and client.taken == b""
    assert [str(line["exc_info"]) for line in lines] == ["a fault of ours"]


# What the house sees.


def pass_(clock: Clock, house: House, seconds: float) -> None:
    clock.at += seconds
    house.look()


async def test_an_idle_connection_is_closed_in_time(client: Client, house: House, clock: Clock) -> None:
    for _ in range(3):
        pass_(clock, house, SETTINGS.keep_alive_s)
        client.say(get("/t/k/now/0"))
    pass_(clock, house, SETTINGS.keep_alive_s)
    assert not client.is_gone
    pass_(clock, house, 1)
    assert client.is_gone and not client.is_aborted


async def test_a_head_that_does_not_end_is_refused_once(client: Client, house: House, clock: Clock) -> None:
    client.say(b"GET /t")
    for _ in range(14):
        pass_(clock, house, 1)
        client.say(b"x")
    assert client.statuses == []
    for _ in range(5):
        pass_(clock, house, 1)
    assert client.statuses == [408] and client.is_ended


async def test_a_head_behind_a_request_that_takes_its_time_is_not_refused_within_its_answer(
    client: Client, house: House, stage: Stage, clock: Clock
) -> None:
    client.say(get("/t/k/later/0") + b"GET /t/k/no")
    await settle()
    pass_(clock, house, 10 * SETTINGS.head_s)
    assert client.statuses == []
    stage.open("/t/k/later/0")
    await settle()
    pass_(clock, house, SETTINGS.head_s)
    client.say(b"w/1 HTTP/1.1\r\nHost: edge\r\n\r\n")
    assert client.said == ["/t/k/later/0", "/t/k/now/1"]


async def test_a_body_that_does_not_come_is_cut_however_slow_it_drips(
    client: Client, house: House, clock: Clock
) -> None:
    client.say(get("/t/k/act", "Content-Length: 1000", method="POST"))
    await settle()
    for _ in range(SETTINGS.stall_s // 10):
        pass_(clock, house, 10)
        client.say(b"x")
    assert not client.is_gone
    pass_(clock, house, 10)
    assert client.is_aborted


async def test_the_time_of_a_body_begins_with_its_turn(client: Client, house: House, clock: Clock) -> None:
    client.stall()
    client.say(get(f"/t/k/big/{2 * CHUNK}"))
    client.say(get("/t/k/act", "Content-Length: 9", method="POST") + b"half")
    pass_(clock, house, SETTINGS.stall_s)
    client.take(1 << 20)
    pass_(clock, house, SETTINGS.stall_s)
    assert not client.is_gone
    pass_(clock, house, 1)
    assert client.is_aborted


@pytest.mark.parametrize("answer", ["now", f"big/{2 * CHUNK}", f"big/{40 * CHUNK}"])
async def test_a_client_that_takes_nothing_is_cut(client: Client, house: House, clock: Clock, answer: str) -> None:
    client.stall()
    client.say(get(f"/t/k/{answer}"))
    await settle()
    pass_(clock, house, SETTINGS.stall_s)
    assert not client.is_gone
    pass_(clock, house, 1)
    assert client.is_aborted
    await settle()
    assert not house.tasks and not house._connections


async def test_a_client_that_is_closed_and_takes_nothing_is_cut(client: Client, house: House, clock: Clock) -> None:
    client.stall()
    client.say(get("/t/k/now/0", "Connection: close"))
    await settle()
    assert client.is_gone and house._connections
    pass_(clock, house, SETTINGS.stall_s + 1)
    await settle()
    assert client.is_aborted and not house._connections


@pytest.mark.parametrize("size", [2 * CHUNK, 40 * CHUNK])
async def test_bytes_of_a_session_that_was_ended_do_not_go_on(
    client: Client, house: House, stage: Stage, clock: Clock, size: int
) -> None:
    client.stall()
    client.say(get(f"/t/k/big/{size}"))
    await settle()
    pass_(clock, house, 1)
    assert not client.is_gone
    stage.session.is_over = True
    pass_(clock, house, 1)
    assert client.is_aborted


async def test_the_last_bytes_of_a_session_that_was_ended_do_not_go_on(
    client: Client, house: House, stage: Stage, clock: Clock
) -> None:
    client.stall()
    client.say(get(f"/t/k/big/{6 * CHUNK}"))
    await settle()
    while house.tasks:
        client.take(10_000)
        await settle()
    stage.session.is_over = True
    assert client.get_write_buffer_size() > HIGH_BYTES and not client.is_gone
    pass_(clock, house, 1)
    assert client.is_aborted


async def test_an_ended_session_is_nothing_to_what_the_connection_carries_next(
    client: Client, house: House, stage: Stage, clock: Clock
) -> None:
    client.stall()
    client.say(get(f"/t/k/big/{2 * CHUNK}"))
    client.take(1 << 20)
    stage.session, ended = Session(), stage.session
    ended.is_over = True
    client.say(get("/t/k/now/1"))
    pass_(clock, house, 1)
    assert not client.is_gone


async def test_idle_connections_make_room_the_oldest_first_and_busy_ones_do_not(
    house: House, stage: Stage, clock: Clock
) -> None:
    clients = []
    for _ in range(SETTINGS.connections):
        clients.append(client_of(house))
        pass_(clock, house, 0.01)
    clients[0].say(get("/t/k/now/0"))
    clients[1].stall()
    clients[1].say(get("/t/k/now/1"))
    for one in clients[3:]:
        one.say(get("/t/k/later/0"))
    second = client_of(house)
    assert [one.is_gone for one in clients[:3]] == [False, False, True]
    second.say(get("/t/k/later/0"))
    third = client_of(house)
    assert [one.is_gone for one in clients[:3]] == [True, False, True]
    third.say(get("/t/k/later/0"))
    refused = client_of(house)
    assert refused.statuses == [503] and refused.is_ended and len(house._connections) == SETTINGS.connections
    for one in (*clients, second, third, refused):
        one.lose()
    await settle()
    stage.open("/t/k/later/0")
    await settle()
    assert not house._connections and not house.tasks


async def test_an_edge_that_stops_answers_first(house: House, stage: Stage) -> None:
    idle, busy, slow, half = (client_of(house) for _ in range(4))
    idle.say(get("/t/k/now/0"))
    busy.say(get("/t/k/later/1") + get("/t/k/now/2") + get("/t/k/now/3"))
    slow.stall()
    slow.say(get(f"/t/k/big/{2 * CHUNK}"))
    half.say(b"GET /")
    stopping = asyncio.get_running_loop().create_task(house.close())
    await idle.gone.wait()
    assert not busy.is_gone and not slow.is_gone and half.is_ended
    stage.open("/t/k/later/1")
    await settle()
    slow.take(1 << 20)
    assert busy.said == ["/t/k/later/1", "/t/k/now/2", "/t/k/now/3"] and busy.taken.count(b"connection: close\r\n") == 1
    for one in (busy, slow, half):
        assert one.is_ended and not one.is_aborted
        one.end()
    await stopping
    assert len(slow.taken) > 2 * CHUNK


async def test_an_edge_that_stops_cuts_who_takes_too_long(house: House, stage: Stage) -> None:
    stuck, silent = client_of(house), client_of(house)
    stuck.stall()
    stuck.say(get(f"/t/k/big/{40 * CHUNK}"))
    silent.say(get("/t/k/later/1"))
    await settle()
    await house.close()
    assert stuck.is_aborted and silent.is_aborted and stage.ended == ["/t/k/later/1"]
    await settle()
    assert not house.tasks and not house._connections
