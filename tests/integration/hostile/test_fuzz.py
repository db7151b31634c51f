"""Schemathesis sends what openapi.json allows and what it forbids: nothing fails, and the document is true.

Checked of each answer: no 5xx, its status and content type are documented, its body matches its schema, and a body the
schema forbids is refused. The seed is fixed, so that a failure comes again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import httpx2
import hypothesis
import msgspec
import requests
import schemathesis
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.generation.case import Case
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.control.app import DOCUMENT, ROUTES
from shared.clock import ManualClock
from shared.settings import ControlSettings
from tests.support.control import PASSWORD, Control, running_control
from tests.support.titles import desk

#: `make chaos` asks for more rounds than one; then more is sent to each route.
EXAMPLES = 20 if int(os.environ.get("USHER_CHAOS_ROUNDS", "1")) > 1 else 5
ANSWERED_WITHIN_S = 60.0
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
SCHEMA = schemathesis.openapi.from_dict(msgspec.json.decode(DOCUMENT))
#: Nothing would be left to ask with after it.
ENDS_THE_SESSION = {"logout"}
NAMES = [route.name for route in ROUTES if route.name not in ENDS_THE_SESSION]

Request = Case[Any]
Send = Callable[[Request], httpx2.Response]


class Known(NamedTuple):
    """What exists, for path parameters and for fields of bodies; and the headers of somebody who is logged in."""

    path: dict[str, str]
    body: dict[str, str]
    headers: dict[str, str]

    def put_in(self, case: Request) -> Request:
        """The case with its body about what exists."""
        if isinstance(case.body, dict):
            case.body |= {name: value for name, value in self.body.items() if name in case.body}
        return case


async def test_every_route_answers_as_documented(settings: ControlSettings, clock: ManualClock) -> None:
    wide = msgspec.structs.replace(settings, limits_scale=1e6)
    async with running_control(wide, clock) as control:
        known, http = await prepare(control), control.browser()
        loop = asyncio.get_running_loop()
        seen: dict[str, set[int]] = {name: set() for name in NAMES}
        wrong: dict[str, str] = {}

        def send(case: Request) -> httpx2.Response:
            asked = asyncio.run_coroutine_threadsafe(http.send(request_of(case, http)), loop)
            answer = asked.result(ANSWERED_WITHIN_S)
            seen[case.operation.definition.raw["operationId"]].add(answer.status_code)
            return answer

        for name in NAMES:
            try:
                await asyncio.to_thread(ask_about, name, known, send)
            except FailureGroup as failure:
                wrong[name] = "\n".join([str(failure), *getattr(failure, "__notes__", ())])
        assert wrong == {}, "\n".join(wrong.values())
        print(seen)
        assert (await http.get("/v1/me", headers=known.headers)).status_code == 200


async def prepare(control: Control) -> Known:
    """A seller with a bearer session and a title that is published."""
    seller = await desk(control)
    title = await seller.published()
    (job,) = (await seller.ask("GET", f"titles/{title['id']}/jobs"))["items"]
    body = {"login": "studio", "password": PASSWORD, "bearer": True}
    bearer = (await control.browser().post("/v1/auth/login", json=body)).json()["bearer_token"]
    path = {"title": title["id"], "job": job["id"], "handle": "studio", "username": "studio", "name": "fraud.enforce"}
    return Known(path, {"seller": "studio"}, {"Authorization": f"Bearer {bearer}", "Tus-Resumable": "1.0.0"})


def ask_about(name: str, known: Known, send: Send) -> None:
    """Valid and invalid requests, at made-up places and at one that exists."""
    operation = SCHEMA.find_operation_by_id(name)
    place = {one.name: known.path[one.name] for one in operation.path_parameters if one.name in known.path}
    for mode in GenerationMode:
        for path in [{}, place] if place else [{}]:
            cases = operation.as_strategy(mode, path_parameters=path or None, headers=dict(known.headers))
            ask_with(cases.map(known.put_in) if mode.is_positive else cases, send)


def ask_with(cases: hypothesis.strategies.SearchStrategy[Request], send: Send) -> None:
    @hypothesis.seed(1)
    @hypothesis.settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=cases)
    def check(case: Request) -> None:
        case.validate_response(send(case), checks=CHECKS)

    try:
        check()
    except Unsatisfiable:  # some routes take nothing that could be wrong
        return


def request_of(case: Request, http: httpx2.AsyncClient) -> httpx2.Request:
    """The bytes schemathesis would send, as a request of our client."""
    kwargs: dict[str, Any] = case.as_transport_kwargs(base_url=str(http.base_url))
    ready = requests.Request(**{name: value for name, value in kwargs.items() if name != "timeout"}).prepare()
    body = ready.body.encode() if isinstance(ready.body, str) else ready.body
    headers = [(name, str(value)) for name, value in ready.headers.items() if name.lower() != "content-length"]
    return http.build_request(str(ready.method), str(ready.url), content=cast(bytes, body or b""), headers=headers)
