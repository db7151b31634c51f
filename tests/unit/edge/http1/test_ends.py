"""Ends of connections: by the client, by a fault, and by what the house sees."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from gateway.edge.http1.connection import HIGH_BYTES, Connection
from gateway.edge.http1.server import House
from tests.support.http1 import CHUNK, SETTINGS, Client, Clock, Session, Stage, client_of, get, settle

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
