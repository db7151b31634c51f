"""What an edge learns from its players while the flag is on, and what it logs of those it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import structlog
from redis.asyncio import Redis
from structlog.testing import capture_logs

from gateway.edge.cmcd import FLAG
from infra.stack.valkey import RULES
from shared import flags
from shared.flags import State
from shared.metrics import REGISTRY
from tests.support.edge import MASTER, SEGMENT, EdgeUnderTest, running_edge, until

CMCD = "CMCD=" + quote('bl=21300,br=3200,bs,d=4004,mtp=25400,ot=v,sid="x"', safe="")


@pytest.fixture
async def edge(folder: Path, redis: Redis, redis_url: str) -> AsyncIterator[EdgeUnderTest]:
    """An edge that is no more in Redis than `usher run` lets it be."""
    await redis.execute_command("ACL", "SETUSER", "edge", "reset", "on", ">word", *RULES["edge"].split())
    async with running_edge(folder, redis_url.replace("redis://", "redis://edge:word@")) as running:
        yield running


async def switch(edge: EdgeUnderTest, redis: Redis, *, on: bool) -> None:
    """As control does it; back when the edge has heard it."""
    await flags.copy(redis, {FLAG: State(on)})

    async def heard() -> bool:
        return edge.app.edge is not None and edge.app.edge.cmcd.is_on is on

    await until(heard)


def reports() -> float:
    return REGISTRY.get_sample_value("usher_qoe_reports_total", {"version": "v1"}) or 0.0


async def test_reports_are_taken_while_the_flag_is_on_and_no_longer(edge: EdgeUnderTest, redis: Redis) -> None:
    token, before = edge.token(), reports()
    assert (await edge.get(f"{SEGMENT}?{CMCD}", token)).status == 200
    assert reports() == before
    await switch(edge, redis, on=True)
    assert (await edge.get(f"{SEGMENT}?{CMCD}", token)).status == 200
    assert (await edge.get(SEGMENT, token, headers={"cmcd-request": "bl=1000", "cmcd-object": "ot=a"})).status == 200
    assert (await edge.get(SEGMENT, token)).status == 200
    assert reports() == before + 2
    await switch(edge, redis, on=False)
    assert (await edge.get(f"{SEGMENT}?{CMCD}", token)).status == 200
    assert reports() == before + 2


@pytest.mark.parametrize("query", ["CMCD=%00%ff", "CMCD=" + "(" * 3000, "CMCD", "CMCD=bl%3D1%2C"])
async def test_garbage_never_keeps_a_viewer_from_the_film(edge: EdgeUnderTest, redis: Redis, query: str) -> None:
    await switch(edge, redis, on=True)
    assert (await edge.get(f"{SEGMENT}?{query}", edge.token())).status == 200


async def test_reports_of_those_without_a_token_count_for_nothing(edge: EdgeUnderTest, redis: Redis) -> None:
    await switch(edge, redis, on=True)
    before = reports()
    assert (await edge.get(f"{SEGMENT}?{CMCD}", edge.token()[:-4] + "AAAA")).status == 401
    assert reports() == before


@pytest.fixture
def logging_as_it_begins() -> Iterator[None]:
    """Other tests of this process may have set it up to tell errors alone."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("logging_as_it_begins")
async def test_a_refused_session_is_one_line_and_a_segment_none(edge: EdgeUnderTest) -> None:
    seated, refused = edge.token(cap=1), edge.token(cap=1)
    with capture_logs() as lines:
        for _ in range(3):
            assert (await edge.get(SEGMENT, seated)).status == 200
            assert (await edge.get(MASTER, refused)).status == 409
            assert (await edge.get("v/ttl_a/ver1/720/0/99.m4s", seated)).status == 404
    (line,) = [line for line in lines if line["process"] == "edge"]
    assert (line["event"], line["code"], line["log_level"]) == ("a session was refused", "seats-full", "info")
    assert refused not in str(lines) and seated not in str(lines)
