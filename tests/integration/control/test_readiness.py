"""Control says what it waits for, and that it waits no longer."""

from __future__ import annotations

from pathlib import Path

import httpx2

from gateway.control.readiness import watched
from shared.clock import ManualClock
from tests.support.control import Control, control_settings, running_control
from tests.support.edge import until
from tests.support.ports import free_base
from tests.support.valkey import valkey


async def test_ready_when_everything_answers(control: Control) -> None:
    async with watched(control.wiring) as ready:
        assert ready() is None


async def test_not_ready_while_redis_is_dead(tmp_path: Path, database_url: str, clock: ManualClock) -> None:
    with valkey(free_base(1)) as server:
        settings = control_settings(tmp_path, database_url=database_url, redis_url=server.url)
        async with running_control(settings, clock) as control, watched(control.wiring, every_s=0.05) as ready:
            assert ready() is None
            server.kill()

            async def named() -> bool:
                return (ready() or "").startswith("Redis does not answer")

            await until(named)
            server.start()

            async def mended() -> bool:
                return ready() is None

            await until(mended)


async def test_not_ready_without_postgres(control: Control) -> None:
    await control.wiring["pool"].close()
    async with watched(control.wiring) as ready:
        assert "Postgres does not answer" in (ready() or "")


async def test_unknown_path_of_another_version_gets_a_problem_and_no_page(control: Control) -> None:
    answer: httpx2.Response = await control.http.get("/v2/nothing")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
