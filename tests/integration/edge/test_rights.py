"""The Redis user that `run` makes for the edge may do what the edge does, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from infra.stack.valkey import RULES
from shared import seats
from shared.events import EDGE_STREAM, Push
from tests.support.edge import MASTER, SEGMENT, TITLE, running_edge, until
from tests.support.ports import free_port
from tests.support.valkey import valkey


async def test_the_rights_of_the_edge_are_enough_and_not_more(folder: Path) -> None:
    acl, port = folder / "users.acl", free_port()
    acl.write_text("user default on nopass ~* &* +@all\n" + f"user edge on >secret {RULES['edge']}\n")
    with valkey(port, "--aclfile", str(acl)) as server:
        url = f"redis://edge:secret@127.0.0.1:{port}/0"
        own, admin = Redis.from_url(url), Redis.from_url(server.url)
        async with running_edge(folder, url, seats_policy="takeover_oldest") as edge:
            first = edge.token(cap=1)
            for token in (first, edge.token(cap=1)):
                assert [(await edge.get(path, token)).status for path in (MASTER, SEGMENT)] == [200, 200]

            async def evicted() -> bool:
                return (await edge.get(MASTER, first)).status == 410

            await until(evicted)

            async def told() -> bool:
                return bool(await admin.xlen(EDGE_STREAM) >= 4)

            await until(told)
            last = edge.token(cap=1)
            assert (await edge.get(MASTER, last)).status == 200
            await seats.revoke(admin, Push(kind="title", key=TITLE, iat=2_000_000_000, reason="x"))

            async def over() -> bool:
                return (await edge.get(MASTER, last)).status == 410

            await until(over)
        with pytest.raises(NoPermissionError):
            await own.get("celery")
        with pytest.raises(NoPermissionError):
            await own.flushall()
        await own.aclose()
        await admin.aclose()
