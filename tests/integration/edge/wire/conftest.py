"""Edges as `usher run` starts them: on their own sockets, by granian, and behind TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.certificates import Certificate, certificate_in
from tests.support.edge_process import EdgeProcess, edge_process
from tests.support.films import Film, film_in
from tests.support.on_the_wire import BUCKET, SIZE, environ
from tests.support.players import Link, linked
from tests.support.ports import free_base
from tests.support.valkey import Valkey, valkey


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


#: Longer than any test lasts.
LONG = {"USHER_HOLD_S": "600"}
#: granian serves cleartext where HTTP/2 is wanted there; else the edge does so itself.
BOTH = {True: "granian", False: "own"}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BOTH, ids=BOTH.get)
async def edge(
    request: pytest.FixtureRequest, home: Path, film: Film, own_valkey: Valkey
) -> AsyncIterator[EdgeProcess]:
    own = LONG | {"USHER_HTTP2_CLEARTEXT": str(request.param)}
    async with edge_process(home / BOTH[request.param], environ(home, own_valkey) | own) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doubled(home: Path, film: Film, own_valkey: Valkey) -> AsyncIterator[EdgeProcess]:
    """One that speaks HTTP/2 in cleartext too."""
    own = LONG | {"USHER_HTTP2_CLEARTEXT": "true"}
    async with edge_process(home / "h2c", environ(home, own_valkey) | own) as running:
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
