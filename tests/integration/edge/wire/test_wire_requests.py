"""Requests as they come over the wire: bodies, odd heads, garbage, and clients that leave."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from tests.support.edge import until
from tests.support.edge_process import EdgeProcess, edge_process
from tests.support.films import Film
from tests.support.on_the_wire import READ_ON, environ, is_whole, statuses_until_silence
from tests.support.players import Cut, Link, connect, linked
from tests.support.valkey import Valkey


@pytest.mark.parametrize("name", ["beat", "end"])
@pytest.mark.parametrize("size", [0, 1, 1000, READ_ON, 65_536, 3_000_000])
async def test_the_body_of_a_sign_of_life_is_never_taken_for_a_request(
    link: Link, film: Film, token: str, name: str, size: int
) -> None:
    smuggled = f"GET /t/{token}/{film.segment(1)} HTTP/1.1\r\nHost: edge\r\n\r\n".encode()
    body = (smuggled * (size // len(smuggled) + 1))[:size]
    try:
        answer = await link.ask("POST", f"/t/{token}/{name}", body=body)
    except Cut:
        # A server may end a connection rather than read on what nobody wants; small bodies it must read.
        assert size > READ_ON
        return
    assert answer.status == 204
    try:
        # Nothing of the body is answered: what comes next is the answer to this request, or the end.
        assert is_whole(film, (await link.ask("GET", f"/t/{token}/{film.segment(0)}")).body)
    except Cut as cut:
        assert size > READ_ON and (cut.status, cut.size) == (0, 0)


async def test_a_request_of_two_lengths_is_answered_at_most_once(edge: EdgeProcess, film: Film, token: str) -> None:
    smuggled = f"GET /t/{token}/{film.segment(1)} HTTP/1.1\r\nHost: edge\r\n\r\n".encode()
    for heads in (
        f"Content-Length: {len(smuggled)}\r\nTransfer-Encoding: chunked",
        f"Content-Length: 0\r\nContent-Length: {len(smuggled)}",
        f"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: {len(smuggled)}",
        f"Transfer-Encoding : chunked\r\nContent-Length: {len(smuggled)}",
    ):
        async with linked(edge.port) as link:
            request = f"POST /t/{token}/beat HTTP/1.1\r\nHost: edge\r\n{heads}\r\n\r\n"
            link.writer.write(request.encode() + b"0\r\n\r\n" + smuggled)
            statuses = await statuses_until_silence(link)
            assert statuses.count(200) == 0 or statuses[:1] == [204], (heads, statuses)
            assert len(statuses) <= 2, (heads, statuses)
            if heads.startswith("Content-Length: 0"):
                assert statuses in ([], [400]), (heads, statuses)


async def test_an_absolute_target_is_the_same_as_its_path(link: Link, film: Film, token: str) -> None:
    for target in (f"http://edge/t/{token}/{film.segment(2)}", f"http://elsewhere.example/t/{token}/{film.segment(2)}"):
        answer = await link.ask("GET", target)
        assert answer.status == 200 and is_whole(film, answer.body, 2)


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "PATCH", "PROPFIND", "BREW"])
async def test_a_method_without_meaning_is_refused_and_tells_nothing_back(
    edge: EdgeProcess, film: Film, token: str, method: str
) -> None:
    target = "edge:443" if method == "CONNECT" else f"/t/{token}/{film.segment(0)}"
    async with linked(edge.port) as link:
        try:
            answer = await link.ask(method, target, headers={"X-Secret": "not to be told back"})
        except Cut as cut:
            assert (cut.status, cut.size) == (0, 0)
        else:
            assert answer.status in (400, 404, 405, 501)
            assert b"not to be told back" not in answer.body


@pytest.mark.parametrize("header", [{"X-Long": "x" * 16_384}, {f"X-{n}": "y" * 150 for n in range(90)}])
async def test_sixteen_kilobytes_of_headers_are_read(
    link: Link, film: Film, segment: str, header: dict[str, str]
) -> None:
    answer = await link.ask("GET", segment, headers=header)
    assert answer.status == 200 and is_whole(film, answer.body)


@pytest.mark.parametrize("header", [{"X-Long": "x" * 3_000_000}, {f"X-{n}": "y" for n in range(5000)}])
async def test_a_flood_of_headers_is_cut_and_costs_nobody_else(
    edge: EdgeProcess, film: Film, link: Link, segment: str, header: dict[str, str]
) -> None:
    before = edge.usage().rss_bytes
    for _ in range(20):
        async with linked(edge.port) as flooding:
            try:
                answer = await flooding.ask("GET", segment, headers=header)
            except (Cut, OSError):
                continue
            assert answer.status in (400, 414, 431), answer.status
    assert edge.usage().rss_bytes - before < 24 << 20
    assert is_whole(film, (await link.ask("GET", segment)).body)


@pytest.mark.parametrize("bound", [("--http1-header-read-timeout", "1000"), ()])
async def test_a_client_that_never_ends_its_head_is_hung_up_on(
    home: Path, film: Film, own_valkey: Valkey, bound: tuple[str, ...]
) -> None:
    """granian's own bound is 30 s a head, ours 15; here it is one second."""
    own = environ(home, own_valkey) | {"USHER_HEAD_S": "1"}
    async with edge_process(home / f"loris-{len(bound)}", own, arguments=bound) as edge:
        token = edge.token(scope=film.scope)
        async with linked(edge.port) as slow, linked(edge.port) as player:
            slow.writer.write(b"GET / HTTP/1.1\r\nHost: ed")
            async with asyncio.timeout(10):
                said = await slow.reader.read()
            assert said == b"" or said.startswith(b"HTTP/1.1 408 ")
            assert is_whole(film, (await player.ask("GET", f"/t/{token}/{film.segment(0)}")).body)


async def test_http_1_0_gets_its_answer_and_the_end(edge: EdgeProcess, film: Film, segment: str) -> None:
    async with linked(edge.port) as link:
        link.writer.write(f"GET {segment} HTTP/1.0\r\n\r\n".encode())
        assert is_whole(film, (await link.answer()).body)
        assert await link.reader.read() == b""


async def test_a_client_that_expects_100_is_told_to_go_on_or_answered(link: Link, film: Film, token: str) -> None:
    await link.send("POST", f"/t/{token}/beat", headers={"Expect": "100-continue", "Content-Length": "5"})
    first = await link.head()
    if first.status == 100:
        link.writer.write(b"hello")
        first = await link.head()
    assert first.status == 204


#: What granian leaves to chance.
own_sockets = pytest.mark.parametrize("edge", [False], ids=["own"], indirect=True)


@own_sockets
async def test_a_client_that_sends_no_more_gets_all_it_asked_for(edge: EdgeProcess, film: Film, token: str) -> None:
    numbers = [0, 1, 2] * 10
    async with linked(edge.port) as link:
        for number in numbers:
            await link.send("GET", f"/t/{token}/{film.segment(number)}")
        link.writer.write_eof()
        for number in numbers:
            assert is_whole(film, (await link.answer(keep=True)).body, number)
        assert await link.reader.read() == b""


@own_sockets
async def test_a_refusal_is_heard_over_a_body_that_is_still_being_sent(edge: EdgeProcess, film: Film) -> None:
    async with linked(edge.port) as link:
        await link.send("POST", "/t/forged/beat", headers={"Content-Length": "400000"})
        for _ in range(4):
            link.writer.write(b"x" * 100_000)
            await asyncio.sleep(0.05)
        answer = await link.answer()
        assert (answer.status, answer.closes) == (401, True)
        assert await link.reader.read() == b""


@own_sockets
async def test_clients_that_leave_half_way_leave_no_descriptor(
    edge: EdgeProcess, film: Film, token: str, segment: str
) -> None:
    def descriptors() -> int:
        return len(list(Path(f"/proc/{edge.worker}/fd").iterdir()))

    async def all_are_back() -> bool:
        return descriptors() <= before

    async with linked(edge.port) as link:
        assert is_whole(film, (await link.ask("GET", segment)).body)
        before = descriptors()
        for wanted in (segment, f"/t/{token}/v/ttl_film/ver1/720/0/999.m4s", "/elsewhere"):
            links = [await connect(edge.port) for _ in range(20)]
            for one in links:
                await one.send("GET", wanted)
                await one.send("GET", wanted)
            for one in links:
                await one.head()
                one.close()
        await until(all_are_back)
        assert is_whole(film, (await link.ask("GET", segment)).body)


async def test_garbage_is_no_request(edge: EdgeProcess, film: Film, link: Link, segment: str) -> None:
    for garbage in (
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\r\n" * 5000,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0" * 999,
    ):
        async with linked(edge.port) as other:
            other.writer.write(garbage)
            with contextlib.suppress(OSError):
                other.writer.write_eof()
            assert (await statuses_until_silence(other)) in ([], [400], [505])
    assert is_whole(film, (await link.ask("GET", segment)).body)
