"""Every route that asks for a key, sent twice under one: one effect, one answer; and it is good for one request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import msgspec
import pytest

from gateway.control.app import ROUTES
from gateway.control.idempotency.model import HEADER, REPLAYED
from gateway.control.payouts import actions as payouts
from gateway.control.route import Route
from shared.clock import ManualClock
from shared.settings import ControlSettings
from tests.integration.control.test_authorisation import TABLE
from tests.support.company import Company, company
from tests.support.control import code_of, running_control

ORDER = {"amount": 5000, "currency": "USD"}
#: Bodies that do something, where the one of the table is refused.
BODIES = {"redeem_gift_card": {"code": "{card}"}}


@pytest.fixture
async def made(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Company]:
    """The company, at a portal without rate limits."""
    async with running_control(msgspec.structs.replace(settings, limits_scale=1e6), clock) as control:
        yield await company(control)


async def test_each_key_that_comes_twice_has_one_effect_and_is_refused_with_another_request(made: Company) -> None:
    once = {route.name: route for route in ROUTES if route.idempotent}
    assert len(once) > 15
    for name in (name for name in TABLE if name in once):  # in its order: what is made comes before what ends it
        await twice(made, once[name])


async def twice(made: Company, route: Route) -> None:
    """Ask by whoever may: once, again, and for something else."""
    rule = TABLE[route.name]
    at = made.at | {"n": "twice"} | await needed(made, route.name)
    letter = next(one for one in "vox" if one in rule.may)
    send = partial(made.ask, letter, route.method, headers={HEADER: f"twice-{route.name}"})
    path, body = route.path.format_map(at), filled(BODIES.get(route.name, rule.body), at)
    first = await send(path, body=body)
    assert first.status_code in (200, 201, 204), f"{route.name}: {first.status_code} {first.text}"
    assert REPLAYED not in first.headers
    recorded = await made.recorded()
    again = await send(path, body=body)
    assert (again.status_code, again.content) == (first.status_code, first.content), route.name
    assert again.headers.get(REPLAYED) == "true", route.name
    for other in others(route, body, at):
        refused = await send(**other)
        assert code_of(refused) == (422, "key-reused"), f"{route.name} {other}: {refused.status_code} {refused.text}"
    assert await made.recorded() == recorded, route.name


async def needed(made: Company, name: str) -> dict[str, str]:
    """What a route must find to do something, by the name it is put in by."""
    match name:
        case "retry_refund":
            return {"refund": (await made.control.rows("update refund set state = 'failed' returning id"))[0]["id"]}
        case "redeem_gift_card":
            card = await made.people["v"].ask("POST", "gift-cards", 201, ORDER)
            return {"card": card["code"]}
        case "complete_withdrawal":
            return {"withdrawal": await due(made)}
        case "complete_payout_run":
            await due(made)
            wiring = made.control.wiring
            payers, begin = wiring["providers"].payers, wiring["begin"]
            assert await payouts.gather(payers, begin=begin, clock=made.control.clock) == 1
            return {"run": (await made.control.rows("select id from payout_run"))[0]["id"]}
    return {}


async def due(made: Company) -> str:
    """A withdrawal that may be paid now."""
    policy = {"rail": "bank", "currency": "USD", "minimum": 5000, "hold_days": 0, "auto_up_to": 50_000}
    await made.people["x"].ask("PUT", "policies", body=policy)
    withdrawal = await made.people["o"].ask("POST", f"sellers/{made.at['handle']}/withdrawals", 201, ORDER)
    assert withdrawal["state"] == "approved"
    return str(withdrawal["id"])


def filled(body: Any, at: dict[str, str]) -> Any:
    """A body of the table with what the company has put in."""
    if body is None:
        return None
    return {name: text.format_map(at) if isinstance(text, str) else text for name, text in body.items()}


def others(route: Route, body: Any, at: dict[str, str]) -> list[dict[str, Any]]:
    """Other requests to a route: with one field changed, with another query, and about something else."""
    path = route.path.format_map(at)
    found = [{"path": f"{path}?other=1", "body": body}]
    if body:
        name = next((name for name in reversed(body) if isinstance(body[name], int)), next(iter(body)))
        changed = body[name] + 1 if isinstance(body[name], int) else f"{body[name]}-"
        found.append({"path": path, "body": {**body, name: changed}})
    if "{" in route.path:
        elsewhere = {name: f"{value}-" for name, value in at.items()}
        found.append({"path": route.path.format_map(elsewhere), "body": body})
    return found
