"""Hundreds of ways to spell a path out of a token's scope, on the wire of HTTP/1.1 and HTTP/2: none leads out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio

from shared import keys
from tests.support import http2, players
from tests.support.edge_process import EdgeProcess, edge_process
from tests.support.ports import free_port
from tests.support.traversal import GENUINE, INSIDE, SCOPE, fill, spellings
from tests.support.valkey import Valkey, valkey

PATHS = sorted(set(spellings()))


@pytest.fixture(scope="module")
def own_valkey() -> Iterator[Valkey]:
    """Not the one of all tests, which is emptied before each."""
    with valkey(free_port()) as server:
        yield server


class Edges(NamedTuple):
    """Our own HTTP/1.1, and granian's beside its HTTP/2; both take the same tokens."""

    own: EdgeProcess
    granian: EdgeProcess


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edges(tmp_path_factory: pytest.TempPathFactory, own_valkey: Valkey) -> AsyncIterator[Edges]:
    folder: Path = tmp_path_factory.mktemp("traversal")
    fill(folder)
    environ = {"USHER_REDIS_URL": own_valkey.url, "USHER_BUCKET": str(folder / "bucket")}
    key_set = keys.new_key_set()
    async with edge_process(folder / "own", environ, key_set=key_set) as own:
        environ["USHER_HTTP2_CLEARTEXT"] = "true"
        async with edge_process(folder / "granian", environ, key_set=key_set) as granian:
            yield Edges(own, granian)


@pytest.fixture(params=["path", "bearer", "cookie"])
def carried(request: pytest.FixtureRequest, edges: Edges) -> tuple[str, dict[str, str]]:
    """What stands before each path, and the headers sent with it."""
    # Screens enough for all: a full house must not hide what would be served.
    token = edges.own.token(scope=SCOPE, cap=1000)
    match request.param:
        case "bearer":
            return "/", {"authorization": f"Bearer {token}"}
        case "cookie":
            return "/", {"cookie": f"URISigningPackage={token}"}
    return f"/t/{token}/", {}


Carried = tuple[str, dict[str, str]]
#: Status, 0 where the server hung up, and body.
Got = tuple[int, str]
Speaker = Callable[[Edges, str, Mapping[str, str]], Awaitable[Got]]


async def by_own(edges: Edges, target: str, headers: Mapping[str, str]) -> Got:
    return await by_http1(edges.own, target, headers)


async def by_granian(edges: Edges, target: str, headers: Mapping[str, str]) -> Got:
    return await by_http1(edges.granian, target, headers)


async def by_http2(edges: Edges, target: str, headers: Mapping[str, str]) -> Got:
    async with http2.linked(edges.granian.port) as link:
        answer = await link.ask("GET", target, headers=headers)
        return answer.status, answer.body.decode("latin-1")


async def by_http1(edge: EdgeProcess, target: str, headers: Mapping[str, str]) -> Got:
    async with players.linked(edge.port) as link:
        try:
            answer = await link.ask("GET", target, headers=headers)
        except players.Cut as cut:
            return cut.status, ""
        return answer.status, answer.body.decode("latin-1")


SPEAKERS = pytest.mark.parametrize("speak", [by_own, by_granian, by_http2], ids=["own", "granian", "http2"])


def test_there_are_hundreds() -> None:
    assert len(PATHS) >= 200


@SPEAKERS
async def test_no_spelling_leads_out_of_the_scope(edges: Edges, carried: Carried, speak: Speaker) -> None:
    before, headers = carried
    led_out = []
    for path in PATHS:
        status, body = await speak(edges, before + path, headers)
        if status >= 500 or (status in (200, 206) and not body.startswith(SCOPE)):
            led_out.append((path, status, body))
    assert led_out == []


@SPEAKERS
async def test_what_is_inside_is_served_however_it_is_spelt(edges: Edges, carried: Carried, speak: Speaker) -> None:
    before, headers = carried
    served = [await speak(edges, before + path, headers) for path in INSIDE]
    assert (200, GENUINE) in served
    assert {one for one in served if one[0] == 200} == {(200, GENUINE)}


@SPEAKERS
async def test_the_token_is_no_part_of_the_path(edges: Edges, speak: Speaker) -> None:
    token, other = edges.own.token(scope=SCOPE, cap=1000), "v/ttl_a2/ver1/720/0/0.m4s"
    for target in (
        *(f"/t/../{other}", f"/t//{other}", f"/t/{token}/../../{other}", f"/{other}", f"/v/../t/{token}/{other}"),
        *(f"/t/{token}%2f{other}", f"/T/{token}/{other}", f"/t/{token}/t/{token}/{other}", f"//t/{token}/{other}"),
        *(f"/t/{token}?/{other}", f"/./t/{token}/{GENUINE}/../../../../../{other}"),
    ):
        status, _ = await speak(edges, target, {})
        assert 400 <= status < 500, target


@pytest.mark.parametrize("speak", [by_own, by_granian])
async def test_an_absolute_target_is_no_other_path(edges: Edges, speak: Speaker) -> None:
    token = edges.own.token(scope=SCOPE, cap=1000)
    for host in ("edge", "evil.example", "edge/../.."):
        for path in (f"t/{token}/v/ttl_a2/ver1/720/0/0.m4s", f"t/{token}/v/ttl_a/../ttl_a2/ver1/720/0/0.m4s"):
            status, _ = await speak(edges, f"http://{host}/{path}", {})
            assert status < 500 and status not in (200, 206)
