"""Schemathesis sends what openapi.json allows and what it forbids: nothing fails, and the document is true.

Checked of each answer: no 5xx, its status and content type are documented, its body matches its schema, and a body the
schema forbids is refused. Routes are asked one by one, and in sequences in which what one answered is what the next is
asked about. The seed is fixed, so that a failure comes again.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx2
import hypothesis
import msgspec
import requests
import schemathesis
from hypothesis import strategies as st
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
from tests.support.control import PASSWORD, Control, make_admin, running_control
from tests.support.ledger import Books
from tests.support.titles import desk

#: `make chaos` asks for more rounds than one; then more is sent to each route, and sequences are longer.
IS_LONG = int(os.environ.get("USHER_CHAOS_ROUNDS", "1")) > 1
EXAMPLES, SEQUENCES, STEPS = (20, 100, 60) if IS_LONG else (3, 10, 40)
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
#: Nothing would be left to ask with after the first; the others answer for as long as somebody listens.
LEFT_OUT = {"logout", "follow_wallet", "follow_earnings"}
NAMES = [route.name for route in ROUTES if route.name not in LEFT_OUT]
#: What takes away who asks, or what all others are asked about.
ENDS_SEQUENCES = {"revoke_device", "take_role", "disable_user", "take_down_title", "delete_member"}
#: Which path parameters an id of a kind is for.
KINDS = {
    "ttl": ("title",),
    "job": ("job",),
    "off": ("offer",),
    "pur": ("purchase", "payment"),
    "ref": ("refund",),
    "wdr": ("withdrawal",),
    "upl": ("upload",),
    "sbx": ("ref",),
    "whe": ("endpoint",),
    "msg": ("delivery",),
    "run": ("run",),
    "rec": ("report",),
}
#: What makes an order one that can be filled.
USUAL = {"amount": 5000, "currency": "USD", "pay": "sandbox", "hours": 24, "starts_at": None, "ends_at": None}
ID = re.compile(r"\b([a-z]{2,4})_[0-9a-f]{32}\b")

Request = Case[Any]
Send = Callable[[Request], httpx2.Response]


class Known:
    """What exists, for path parameters and for fields of bodies; and the headers of somebody who is logged in."""

    def __init__(self, path: dict[str, str], body: dict[str, Any], headers: dict[str, str]) -> None:
        self.path, self.body, self.headers = path, body, headers

    def put_in(self, case: Request, **more: Any) -> Request:
        """The case with its body about what exists, and of `more` what it has."""
        if isinstance(case.body, dict):
            case.body |= {name: value for name, value in (self.body | more).items() if name in case.body}
        return case

    def learn(self, answer: httpx2.Response) -> None:
        """The next request is about what this one answered."""
        if answer.status_code >= 300 or not answer.headers.get("content-type", "").startswith("application/json"):
            return
        for found in ID.finditer(answer.text):
            self.path |= dict.fromkeys(KINDS.get(found[1], ()), found[0])
        told = answer.json()
        if isinstance(told, dict):
            self.body |= {name: told[name] for name in ("code", "version") if name in told}
            self.body |= {"offer": self.path["offer"], "id": self.path["title"]} if "offer" in self.path else {}
            self.path |= {"code": told["code"]} if isinstance(told.get("code"), str) else {}


async def test_every_route_answers_as_documented(settings: ControlSettings, clock: ManualClock) -> None:
    async with asking(settings, clock) as (known, send, _):
        wrong: dict[str, str] = {}
        for name in NAMES:
            try:
                await asyncio.to_thread(ask_about, name, known, send)
            except FailureGroup as failure:
                wrong[name] = told_of(failure)
        assert wrong == {}, "\n".join(wrong.values())


async def test_routes_answer_as_documented_one_after_the_other(settings: ControlSettings, clock: ManualClock) -> None:
    async with asking(settings, clock) as (known, send, seen):
        try:
            await asyncio.to_thread(ask_in_sequence, known, send)
        except FailureGroup as failure:
            raise AssertionError(told_of(failure)) from failure
        done = {name for name, statuses in seen.items() if any(status < 300 for status in statuses)}
        assert len(done) > 40, seen


@asynccontextmanager
async def asking(
    settings: ControlSettings, clock: ManualClock
) -> AsyncIterator[tuple[Known, Send, dict[str, set[int]]]]:
    """What somebody knows who may do everything at a portal, how they ask it, and what each route answered so far."""
    async with running_control(msgspec.structs.replace(settings, limits_scale=1e6), clock) as control:
        known, http, seen = await prepare(control), control.browser(), dict[str, set[int]]()
        loop = asyncio.get_running_loop()

        def send(case: Request) -> httpx2.Response:
            asked = asyncio.run_coroutine_threadsafe(http.send(request_of(case, http)), loop)
            answer = asked.result(ANSWERED_WITHIN_S)
            seen.setdefault(case.operation.definition.raw["operationId"], set()).add(answer.status_code)
            return answer

        yield known, send, seen
        assert (await http.get("/v1/me", headers=known.headers)).status_code == 200


async def prepare(control: Control) -> Known:
    """A seller and admin with a bearer session, money, and a title that is published and has a price."""
    seller = await desk(control)
    await make_admin(control, seller.me["id"])
    await Books(control.wiring["pool"]).fund(10**9, f"wallet__{seller.me['id']}")
    await Books(control.wiring["pool"]).fund(10**9, f"earnings__{seller.seller['id']}")
    title = await seller.published(price_minor=500)
    (job,) = (await seller.ask("GET", f"titles/{title['id']}/jobs"))["items"]
    body = {"login": "studio", "password": PASSWORD, "bearer": True}
    bearer = (await control.browser().post("/v1/auth/login", json=body)).json()["bearer_token"]
    path = {"title": title["id"], "job": job["id"], "handle": "studio", "username": "studio", "name": "fraud.enforce"}
    path |= {"role": "support", "provider": "sandbox", "language": "en", "month": "2026-10", "worker": "w1"}
    return Known(path, {"seller": "studio"}, {"Authorization": f"Bearer {bearer}", "Tus-Resumable": "1.0.0"})


def ask_about(name: str, known: Known, send: Send) -> None:
    """Valid and invalid requests, at made-up places and at one that exists."""
    operation = SCHEMA.find_operation_by_id(name)
    place = {one.name: known.path[one.name] for one in operation.path_parameters if one.name in known.path}
    for mode in GenerationMode:
        for path in [{}, place] if place else [{}]:
            cases = operation.as_strategy(mode, path_parameters=path or None, headers=dict(known.headers))
            ask_with(cases.map(known.put_in) if mode.is_positive else cases, send)


def ask_with(cases: st.SearchStrategy[Request], send: Send) -> None:
    @hypothesis.given(case=cases)
    def check(case: Request) -> None:
        case.validate_response(send(case), checks=CHECKS)

    try:
        drawn(EXAMPLES)(check)()
    except Unsatisfiable:  # some routes take nothing that could be wrong
        return


def ask_in_sequence(known: Known, send: Send) -> None:
    """Valid requests, one after the other, in an order that is drawn: each about what those before it answered."""
    operations = {name: SCHEMA.find_operation_by_id(name) for name in NAMES if name not in ENDS_SEQUENCES}

    @hypothesis.given(data=st.data())
    def check(data: st.DataObject) -> None:
        for name in data.draw(st.permutations(sorted(operations)))[:STEPS]:
            operation = operations[name]
            place = {one.name: known.path[one.name] for one in operation.path_parameters if one.name in known.path}
            cases = operation.as_strategy(
                GenerationMode.POSITIVE, path_parameters=place or None, headers=dict(known.headers)
            )
            case = known.put_in(data.draw(cases), **USUAL)
            answer = send(case)
            case.validate_response(answer, checks=CHECKS)
            known.learn(answer)

    drawn(SEQUENCES)(check)()


def drawn(examples: int) -> Callable[[Any], Any]:
    """So many examples, the same each time. None is made smaller: what it was about is there no more."""
    settings = hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    return lambda check: hypothesis.seed(1)(settings(check))


def told_of(failure: FailureGroup) -> str:
    return "\n".join([str(failure), *getattr(failure, "__notes__", ())])


def request_of(case: Request, http: httpx2.AsyncClient) -> httpx2.Request:
    """The bytes schemathesis would send, as a request of our client."""
    kwargs: dict[str, Any] = case.as_transport_kwargs(base_url=str(http.base_url))
    ready = requests.Request(**{name: value for name, value in kwargs.items() if name != "timeout"}).prepare()
    body = ready.body.encode() if isinstance(ready.body, str) else ready.body
    headers = [(name, str(value)) for name, value in ready.headers.items() if name.lower() != "content-length"]
    return http.build_request(str(ready.method), str(ready.url), content=cast(bytes, body or b""), headers=headers)
