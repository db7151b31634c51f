"""HTTP as it stands on the wire of the edge that `usher run` starts: ranges, refusals, odd requests, HTTP/2, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support import http2
from tests.support.certificates import Certificate, certificate_in
from tests.support.edge import until
from tests.support.edge_process import EdgeProcess, edge_process
from tests.support.films import Film, film_in
from tests.support.players import Cut, Link, connect, linked
from tests.support.ports import free_base
from tests.support.valkey import Valkey, valkey

SIZE = 300_000
BUCKET = "bucket"
#: Largest body of a beacon after which the connection is kept.
READ_ON = 8_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wire")


@pytest.fixture(scope="module")
def film(home: Path) -> Film:
    return film_in(home / BUCKET, segments=3, size=SIZE)


@pytest.fixture(scope="module")
def own_valkey() -> Iterator[Valkey]:
    """Not the one of all tests, which is emptied before each."""
    with valkey(free_base(1)) as server:
        yield server


def environ(home: Path, server: Valkey) -> dict[str, str]:
    return {"USHER_REDIS_URL": server.url, "USHER_BUCKET": str(home / BUCKET)}


#: granian serves cleartext where HTTP/2 is wanted there; else the edge does so itself.
BOTH = {True: "granian", False: "own"}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BOTH, ids=BOTH.get)
async def edge(
    request: pytest.FixtureRequest, home: Path, film: Film, own_valkey: Valkey
) -> AsyncIterator[EdgeProcess]:
    own = {"USHER_HTTP2_CLEARTEXT": str(request.param)}
    async with edge_process(home / BOTH[request.param], environ(home, own_valkey) | own) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doubled(home: Path, film: Film, own_valkey: Valkey) -> AsyncIterator[EdgeProcess]:
    """One that speaks HTTP/2 in cleartext too."""
    async with edge_process(home / "h2c", environ(home, own_valkey) | {"USHER_HTTP2_CLEARTEXT": "true"}) as running:
        yield running


@pytest.fixture(scope="module")
def certificate(home: Path) -> Certificate:
    return certificate_in(home)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sealed(home: Path, film: Film, own_valkey: Valkey, certificate: Certificate) -> AsyncIterator[EdgeProcess]:
    """The same edge behind TLS."""
    async with edge_process(home / "tls", environ(home, own_valkey), arguments=certificate.arguments) as running:
        yield running


@pytest.fixture
async def link(edge: EdgeProcess) -> AsyncIterator[Link]:
    async with linked(edge.port) as open_:
        yield open_


@pytest.fixture
def token(edge: EdgeProcess, film: Film) -> str:
    return edge.token(scope=film.scope, sub="wire", cap=1000)


@pytest.fixture
def segment(film: Film, token: str) -> str:
    return f"/t/{token}/{film.segment(0)}"


@pytest.fixture
def whole(home: Path, film: Film) -> bytes:
    return (home / BUCKET / film.segment(0)).read_bytes()


def is_whole(film: Film, body: bytes, number: int = 0) -> bool:
    return hashlib.sha256(body).hexdigest() == film.digests[film.segment(number)]


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=100-200099", 206, 100, 200_100),
        ("bytes=131071-131072", 206, 131_071, 131_073),
        ("bytes=299999-", 206, 299_999, SIZE),
        ("bytes=1000-", 206, 1000, SIZE),
        ("bytes=-1", 206, SIZE - 1, SIZE),
        ("bytes=-999999999", 206, 0, SIZE),
        ("bytes=0-999999999", 206, 0, SIZE),
        ("bytes=0-0,2-3", 200, 0, SIZE),
        ("bytes=0-10, -5", 200, 0, SIZE),
        ("bytes=5-4", 200, 0, SIZE),
        ("bytes=", 200, 0, SIZE),
        ("bytes=a-b", 200, 0, SIZE),
        ("lines=0-1", 200, 0, SIZE),
        ("bytes=300000-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        ("bytes=9999999999999999999-", 416, 0, 0),
    ],
)
async def test_a_range_gives_exactly_its_bytes(
    link: Link, segment: str, whole: bytes, asked: str, status: int, start: int, end: int
) -> None:
    answer = await link.ask("GET", segment, headers={"Range": asked})
    assert (answer.status, answer.body) == (status, whole[start:end])
    if status == 206:
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    if status == 416:
        assert answer.headers["content-range"] == f"bytes */{SIZE}"
    assert (await link.ask("GET", segment, headers={"Range": "bytes=7-8"})).body == whole[7:9]


async def test_if_range_gives_the_part_only_of_the_object_it_names(link: Link, segment: str, whole: bytes) -> None:
    etag = (await link.ask("HEAD", segment)).headers["etag"]
    for named, status, body in (
        (etag, 206, whole[5:10]),
        (f"W/{etag}", 200, whole),
        ('"another"', 200, whole),
        ("Sat, 21 Nov 2026 10:00:00 GMT", 200, whole),
    ):
        answer = await link.ask("GET", segment, headers={"Range": "bytes=5-9", "If-Range": named})
        assert (answer.status, answer.body) == (status, body), named


async def test_answers_without_bodies_keep_the_connection_in_order(link: Link, film: Film, segment: str) -> None:
    head = await link.ask("HEAD", segment)
    assert (head.status, head.headers["content-length"]) == (200, str(SIZE))
    etag = head.headers["etag"]
    unchanged = await link.ask("GET", segment, headers={"If-None-Match": f'"other", W/{etag}'})
    assert (unchanged.status, unchanged.headers["etag"]) == (304, etag)
    ranged_head = await link.ask("HEAD", segment, headers={"Range": "bytes=0-9"})
    assert (ranged_head.status, ranged_head.headers["content-length"]) == (200, str(SIZE))
    asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "GET"}
    preflight = await link.ask("OPTIONS", segment, headers=asked)
    assert (preflight.status, preflight.headers["access-control-max-age"]) == (204, "86400")
    assert preflight.headers["access-control-allow-origin"] in ("*", "https://page.example")
    assert is_whole(film, (await link.ask("GET", segment)).body)


REFUSED = [
    ("GET", "/t/{token}/v/ttl_film/../x.m4s", 404),
    ("GET", "/t/{token}/v/ttl_film/%zz.m4s", 400),
    ("GET", "/t/{token}/v/ttl_other/ver1/720/0/0.m4s", 403),
    ("GET", "/t/{token}/v/ttl_film/ver1/720/0/999.m4s", 404),
    ("GET", "/t/{forged}/v/ttl_film/ver1/720/0/0.m4s", 401),
    ("GET", "/t/{forged}/v/ttl_film/e/ed1/720.m3u8", 401),
    ("GET", "/v/ttl_film/ver1/720/0/0.m4s", 401),
    ("GET", "/t/{token}/beat", 405),
    ("PUT", "/t/{token}/v/ttl_film/ver1/720/0/0.m4s", 405),
    ("DELETE", "/t/{token}/v/ttl_film/ver1/720/0/0.m4s", 405),
    ("GET", "/nothing", 404),
    ("GET", "/", 404),
    ("GET", "/t/", 404),
]


@pytest.mark.parametrize(("method", "target", "status"), REFUSED)
async def test_a_refusal_leaves_the_connection_to_the_next_request(
    link: Link, film: Film, token: str, method: str, target: str, status: int
) -> None:
    forged = token[:-20] + ("A" if token[-20] != "A" else "B") + token[-19:]
    answer = await link.ask(method, target.format(token=token, forged=forged))
    assert answer.status == status
    assert answer.size == int(answer.headers["content-length"])
    assert is_whole(film, (await link.ask("GET", f"/t/{token}/{film.segment(0)}")).body)


async def test_pipelined_requests_are_answered_in_their_order(link: Link, film: Film, token: str) -> None:
    numbers = [0, 1, 2, 1, 0, 2, 2, 1] * 4
    for number in numbers:
        await link.send("GET", f"/t/{token}/{film.segment(number)}", headers={"Range": f"bytes={number}-65535"})
        await link.send("GET", f"/t/{token}/v/ttl_film/ver1/720/0/999.m4s")
    for number in numbers:
        part = await link.answer()
        assert (part.status, part.headers["content-range"]) == (206, f"bytes {number}-65535/{SIZE}")
        assert (await link.answer()).status == 404


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


async def statuses_until_silence(link: Link) -> list[int]:
    """The statuses of all that comes until the server ends the connection or has nothing more to say."""
    statuses = []
    try:
        async with asyncio.timeout(1.0):
            while True:
                statuses.append((await link.answer(keep=False)).status)
    except (Cut, TimeoutError):
        return statuses


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


async def test_http_2_gives_the_same_bytes_in_clear_and_sealed(
    doubled: EdgeProcess, sealed: EdgeProcess, certificate: Certificate, film: Film, whole: bytes
) -> None:
    for one, tls in ((doubled, None), (sealed, certificate.trusting())):
        token = one.token(scope=film.scope, sub="wire", cap=1000)
        async with http2.linked(one.port, tls=tls) as link:
            target = f"/t/{token}/{film.segment(0)}"
            assert is_whole(film, (await link.ask("GET", target)).body)
            part = await link.ask("GET", target, headers={"range": "bytes=131000-131100"})
            assert (part.status, part.length, part.body) == (206, 101, whole[131_000:131_101])
            head = await link.ask("HEAD", target)
            assert (head.status, head.length, head.body) == (200, SIZE, b"")
            assert (await link.ask("POST", f"/t/{token}/beat", body=b"x" * 500)).status == 204
            for method, path, status in REFUSED:
                forged = token[:-1] + ("A" if token[-1] != "A" else "Q")
                answer = await link.ask(method, path.format(token=token, forged=forged))
                assert answer.status == status, path
            answers = await asyncio.gather(
                *(link.ask("GET", f"/t/{token}/{film.segment(number)}") for number in range(60))
            )
            assert all(is_whole(film, one.body, number % 3) for number, one in enumerate(answers))


async def test_tls_serves_http_1_and_refuses_what_is_old(
    sealed: EdgeProcess, certificate: Certificate, film: Film
) -> None:
    token = sealed.token(scope=film.scope, sub="sealed")
    async with linked(sealed.port, tls=certificate.trusting()) as link:
        for number in range(3):
            answer = await link.ask("GET", f"/t/{token}/{film.segment(number)}")
            assert answer.status == 200 and is_whole(film, answer.body, number)
        assert link.writer.get_extra_info("ssl_object").version() == "TLSv1.3"
    async with linked(sealed.port) as clear:
        clear.writer.write(b"GET / HTTP/1.1\r\nHost: edge\r\n\r\n")
        assert await statuses_until_silence(clear) == []
