"""What every route does without saying so: its end of life, other origins, bodies, and a second version beside it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

from gateway.control.app import ROUTES
from gateway.control.limits import READ
from gateway.control.route import Call, Route
from shared.clock import ManualClock
from tests.support.control import Control, control_settings, running_control

ORIGIN = "https://shop.example"


async def read_thing(call: Call[None]) -> dict[str, str]:
    """A thing of another version."""
    return {"thing": call.path("thing")}


def beside(control: Control, route: Route) -> httpx2.AsyncClient:
    """The route in an app of its own, on the wiring of the real one."""

    class WithWiring:
        def __init__(self, app: Starlette) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app({**scope, "state": dict(control.wiring)}, receive, send)

    app = Starlette(routes=[route.starlette()], middleware=[Middleware(WithWiring)])
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://usher.example")


async def test_route_on_its_way_out_says_so_when_it_answers(control: Control) -> None:
    leaving = Route(
        "GET",
        "/v2/things/{thing}",
        read_thing,
        limit=READ,
        login=False,
        deprecated=date(2026, 7, 1),
        sunset=date(2027, 1, 1),
    )
    answer = await beside(control, leaving).get("/v2/things/one")
    assert answer.json() == {"thing": "one"}
    assert answer.headers["deprecation"] == "@1782864000"
    assert answer.headers["sunset"] == "Fri, 01 Jan 2027 00:00:00 GMT"


async def test_living_route_says_nothing_of_its_end(control: Control) -> None:
    answer = await control.http.get("/v1/healthz")
    assert "deprecation" not in answer.headers and "sunset" not in answer.headers
    assert {route.path.split("/")[1] for route in ROUTES} == {"v1", ".well-known"}


@pytest.mark.parametrize(("origin", "allowed"), [(ORIGIN, ORIGIN), ("https://evil.example", None)])
async def test_only_listed_origins_may_read_answers(
    tmp_path: Path, database_url: str, redis_url: str, clock: ManualClock, origin: str, allowed: str | None
) -> None:
    settings = control_settings(tmp_path, database_url=database_url, redis_url=redis_url, cors_origins=ORIGIN)
    async with running_control(settings, clock) as control:
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        preflight = await control.http.options("/v1/titles", headers=asked)
        answer = await control.http.get("/v1/titles", headers={"Origin": origin})
    assert preflight.headers.get("access-control-allow-origin") == allowed
    assert answer.headers.get("access-control-allow-origin") == allowed


async def test_answer_of_the_api_may_not_be_framed_or_sniffed(control: Control) -> None:
    headers = (await control.http.get("/v1/titles")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


async def test_no_body_counts_as_an_empty_object(control: Control) -> None:
    missing = await control.http.post("/v1/auth/login")
    assert missing.status_code == 422 and "login" in missing.json()["detail"]
