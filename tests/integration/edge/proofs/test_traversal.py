"""Hundreds of ways to spell a path out of a token's scope, on the wire of HTTP/1.1 and HTTP/2: none leads out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support import http2, players
from tests.support.granian import EdgeProcess, edge_process
from tests.support.ports import free_port
from tests.support.traversal import GENUINE, INSIDE, SCOPE, fill, spellings
from tests.support.valkey import Valkey, valkey

PATHS = sorted(set(spellings()))


@pytest.fixture(scope="module")
def own_valkey() -> Iterator[Valkey]:
    """Not the one of all tests, which is emptied before each."""
    with valkey(free_port()) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(tmp_path_factory: pytest.TempPathFactory, own_valkey: Valkey) -> AsyncIterator[EdgeProcess]:
    folder: Path = tmp_path_factory.mktemp("traversal")
    fill(folder)
    environ = {"USHER_REDIS_URL": own_valkey.url, "USHER_BUCKET": str(folder / "bucket")}
    async with edge_process(folder / "edge", environ) as running:
        yield running


@pytest.fixture(params=["path", "bearer", "cookie"])
def carried(request: pytest.FixtureRequest, edge: EdgeProcess) -> tuple[str, dict[str, str]]:
    """What stands before each path, and the headers sent with it."""
    # Screens enough for all: a full house must not hide what would be served.
    token = edge.token(scope=SCOPE, cap=1000)
    match request.param:
        case "bearer":
            return "/", {"authorization": f"Bearer {token}"}
        case "cookie":
            return "/", {"cookie": f"URISigningPackage={token}"}
    return f"/t/{token}/", {}


Carried = tuple[str, dict[str, str]]
#: Status, 0 where the server hung up, and body.
Got = tuple[int, str]
Speaker = Callable[[EdgeProcess, str, Mapping[str, str]], Awaitable[Got]]


async def by_http1(edge: EdgeProcess, target: str, headers: Mapping[str, str]) -> Got:
    async with players.linked(edge.port) as link:
        try:
            answer = await link.ask("GET", target, headers=headers)
        except players.Cut as cut:
            return cut.status, ""
        return answer.status, answer.body.decode("latin-1")


async def by_http2(edge: EdgeProcess, target: str, headers: Mapping[str, str]) -> Got:
    async with http2.linked(edge.port) as link:
        answer = await link.ask("GET", target, headers=headers)
        return answer.status, answer.body.decode("latin-1")


SPEAKERS = pytest.mark.parametrize("speak", [by_http1, by_http2], ids=["http1", "http2"])


def test_there_are_hundreds() -> None:
    assert len(PATHS) >= 200


@SPEAKERS
async def test_no_spelling_leads_out_of_the_scope(edge: EdgeProcess, carried: Carried, speak: Speaker) -> None:
    before, headers = carried
    led_out = []
    for path in PATHS:
        status, body = await speak(edge, before + path, headers)
        if status >= 500 or (status in (200, 206) and not body.startswith(SCOPE)):
            led_out.append((path, status, body))
    assert led_out == []


@SPEAKERS
async def test_what_is_inside_is_served_however_it_is_spelt(
    edge: EdgeProcess, carried: Carried, speak: Speaker
) -> None:
    before, headers = carried
    served = [await speak(edge, before + path, headers) for path in INSIDE]
    assert (200, GENUINE) in served
    assert {one for one in served if one[0] == 200} == {(200, GENUINE)}


@SPEAKERS
async def test_the_token_is_no_part_of_the_path(edge: EdgeProcess, speak: Speaker) -> None:
    token, other = edge.token(scope=SCOPE, cap=1000), "v/ttl_a2/ver1/720/0/0.m4s"
    for target in (
        *(f"/t/../{other}", f"/t//{other}", f"/t/{token}/../../{other}", f"/{other}", f"/v/../t/{token}/{other}"),
        *(f"/t/{token}%2f{other}", f"/T/{token}/{other}", f"/t/{token}/t/{token}/{other}", f"//t/{token}/{other}"),
        *(f"/t/{token}?/{other}", f"/./t/{token}/{GENUINE}/../../../../../{other}"),
    ):
        status, _ = await speak(edge, target, {})
        assert 400 <= status < 500, target


async def test_an_absolute_target_is_no_other_path(edge: EdgeProcess) -> None:
    token = edge.token(scope=SCOPE, cap=1000)
    for host in ("edge", "evil.example", "edge/../.."):
        for path in (f"t/{token}/v/ttl_a2/ver1/720/0/0.m4s", f"t/{token}/v/ttl_a/../ttl_a2/ver1/720/0/0.m4s"):
            status, _ = await by_http1(edge, f"http://{host}/{path}", {})
            assert status < 500 and status not in (200, 206)
