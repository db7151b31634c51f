"""SQL and HTML in every text that any route takes: kept and told as the text it is, or refused in words; nothing else.

The texts of a route are those of its path, its query and its body's type, so a new one is sent from the start; all else
that it needs is a request that would do (`TABLE`), of whoever may. That pages show such texts as text is proven in
tests/unit/web/test_markup.py, that mail does in tests/unit/mail/test_letters.py.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import httpx2
import msgspec
import pytest
from msgspec import inspect as types

from gateway.control.app import ROUTES
from gateway.control.idempotency.model import HEADER, REPLAYED
from gateway.control.payouts import actions as payouts
from gateway.control.route import Route
from shared.clock import ManualClock
from shared.settings import ControlSettings
from tests.integration.control.test_authorisation import TABLE
from tests.integration.hostile.test_bad_money import BOOKED, HTML, SQL
from tests.support.company import Company, company
from tests.support.control import code_of, running_control

#: Where a text stands: `path`, `query` or `body`, then names of fields, and 0 for what a list holds.
Place = tuple[str | int, ...]

#: The same in the form of an e-mail, of an address and of a path, for fields that take those.
SHAPED = (f"{HTML}@example.org", f"https://example.org/{HTML}", f"/{HTML}")
#: Texts that are kept, and the page of the API that tells them too; none where the answer alone does.
KEPT = {
    "register email": "",
    "login login": "",
    "create_seller name": "",
    "change_portal name": "/v1/portal",
    "change_portal legal_text": "/v1/portal",
    "create_title name": "/v1/studio/titles?seller={handle}",
    "create_title description": "/v1/studio/titles?seller={handle}",
    "change_title name": "/v1/titles/{title}",
    "change_title description": "/v1/titles/{title}",
    "take_down_title reason": "/v1/titles/{harmful}",
    "take_down_title notice": "/v1/titles/{harmful}",
    "put_subtitles label": "/v1/titles/{title}/subtitles",
    "mark_worker worker": "",
    "revoke_links reason": "/v1/audit",
    "refund_purchase reason": "/v1/admin/refunds",
    "complete_withdrawal rail_ref": "/v1/sellers/{handle}/withdrawals",
    "reject_withdrawal reason": "/v1/sellers/{handle}/withdrawals",
    "complete_payout_run rail_ref": "/v1/payouts/{run}",
    "add_webhook_endpoint url": "/v1/webhook-endpoints?seller={handle}",
    "change_webhook_endpoint url": "/v1/webhook-endpoints?seller={handle}",
    "disable_user reason": "/v1/admin/users/{username}",
}
#: What is searched for: found is at most what holds it.
SOUGHT = {
    "list_titles q",
    "list_titles parent",
    "list_all_titles q",
    "list_users q",
    "list_all_payments rail",
    "list_all_payments buyer",
    "list_webhook_deliveries before",
    "list_audit actor",
    "list_audit action",
    "list_audit object",
    "export_audit actor",
    "export_audit action",
    "export_audit object",
}
#: Compared with something else, or of no matter for this request; told nowhere.
IGNORED = {
    "register password",
    "register proof",
    "forgot email",
    "change_me current_password",
    "list_farm_jobs state",
    "list_offers coupon",
    "play device",
    "check_out return_path",
    "top_up return_path",
}
#: What the requests that are taken book and make, each time; all others nothing.
MADE = {
    "check_out": {"txn": 1, "posting": 3, "purchase": 1, "payment": 1},
    "top_up": {"purchase": 1},
    "refund_purchase": {"txn": 1, "posting": 3, "refund": 1, "payment": 1},
    "complete_withdrawal": {"txn": 1, "posting": 2},
    "reject_withdrawal": {"txn": 1, "posting": 2},
    "complete_payout_run": {"txn": 1, "posting": 2},
}
#: What routes are asked about where that of the table is of no use.
ABOUT = {"complete_withdrawal": {"withdrawal": "{due}"}}
_NUMBERS = itertools.count(1)


@pytest.fixture
async def made(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Company]:
    """The company, at a portal without rate limits, with a run of payouts and a withdrawal that may be paid by hand."""
    async with running_control(msgspec.structs.replace(settings, limits_scale=1e6), clock) as control:
        one = await company(control)
        terms = {"rail": "bank", "currency": "USD", "minimum": 100, "hold_days": 0, "auto_up_to": 50_000}
        await one.people["x"].ask("PUT", "policies", body=terms)
        for name in ("first", "due"):
            order = {"amount": 5000, "currency": "USD"}
            path = f"sellers/{one.at['handle']}/withdrawals"
            one.at[name] = (await one.people["o"].ask("POST", path, 201, order))["id"]
            if name == "first":
                payers = control.wiring["providers"].payers
                assert await payouts.gather(payers, begin=control.wiring["begin"], clock=clock) == 1
        one.at["run"] = (await control.rows("select id from payout_run"))[0]["id"]
        yield one


async def test_text_that_is_sql_or_html_is_told_as_it_is_or_refused_in_words(made: Company) -> None:
    routes = {route.name: route for route in ROUTES}
    before, taken, wrong = await booked(made), set[str](), list[str]()
    for name in TABLE:  # in its order: what is made comes before what ends it
        for place in dict.fromkeys(places(routes[name])):
            field = ".".join(str(step) for step in place[1:])
            for text in (SQL, HTML, *SHAPED) if place[0] == "body" else (SQL, HTML):
                answer = await send(made, routes[name], place, text)
                after = await booked(made)
                grown, before = growth(before, after), after
                if is_taken := answer.status_code < 300:
                    taken.add(f"{name} {field}")
                if grown != (MADE.get(name, {}) if is_taken else {}):
                    wrong.append(f"{name} {field} {text}: {answer.status_code}, makes {grown}")
                if words := await fault(made, f"{name} {field}", text, answer):
                    wrong.append(f"{name} {field} {text}: {answer.status_code} {words}: {answer.text[:200]}")
    assert wrong == [], "\n".join(wrong)
    assert taken == KEPT.keys() | SOUGHT | IGNORED
    await made.shop.audit()


async def test_key_that_is_sql_or_html_is_one_key_or_none(made: Company) -> None:
    viewer, order = made.people["v"], {"amount": 1000, "currency": "USD", "pay": "sandbox"}
    before, keys = await booked(made), (SQL.replace(" ", "/**/"), HTML)
    for key in keys:
        first, again = [await viewer.send("POST", "wallet/top-ups", order, key=key) for _ in range(2)]
        assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
        assert (first.headers.get(REPLAYED), again.headers.get(REPLAYED)) == (None, "true")
    after = await booked(made)
    assert growth(before, after) == {"purchase": len(keys)}
    rows = await made.control.rows("select key from idempotency where principal = $1 and route = 'top_up'", viewer.id)
    assert {row["key"] for row in rows} >= set(keys)
    for route in (route for route in ROUTES if route.idempotent):
        answer = await send(made, route, (), SQL, headers={HEADER: SQL})
        assert code_of(answer) == (422, "idempotency-key-wrong"), route.name
    assert await booked(made) == after


def places(route: Route) -> Iterator[Place]:
    """Where a route takes a text."""
    yield from (("path", name) for name in route.starlette().param_convertors)
    yield from (("query", name) for name in route.query)
    if route.body is not None:
        yield from (("body", *place) for place in texts(types.type_info(route.body)))


def texts(kind: types.Type, at: Place = ()) -> Iterator[Place]:
    """Where a value of a type holds texts, or what is written as one."""
    match kind:
        case types.StructType():
            for field in kind.fields:
                yield from texts(field.type, (*at, field.encode_name))
        case types.ListType():
            yield from texts(kind.item_type, (*at, 0))
        case types.UnionType():
            for one in kind.types:
                yield from texts(one, at)
        case types.StrType() | types.LiteralType() | types.DateTimeType():
            yield at


async def send(
    made: Company, route: Route, place: Place, text: str, *, headers: dict[str, str] | None = None
) -> httpx2.Response:
    """A request that would do, with a text at a place of it, by whoever may."""
    rule, letter = TABLE[route.name], next(one for one in "vxob" if one in TABLE[route.name].may)
    if route.name == "disable_user":  # whoever is shut out stays so for the first reason
        await made.people["x"].send("DELETE", f"admin/users/{made.at['username']}/disabled")
    at = made.at | {"n": str(next(_NUMBERS))}
    at |= {name: value.format_map(at) for name, value in (rule.at | ABOUT.get(route.name, {})).items()}
    query, body = dict(parse_qsl(rule.query.format_map(at))), filled(rule.body, at)
    match place:
        case ("path", str(name)):
            at[name] = quote(text.replace("/", ""), safe="")
        case ("query", str(name)):
            query[name] = text
        case ("body", *steps):
            body = put(body, tuple(steps), text)
    path = route.path.format_map(at) + (f"?{urlencode(query)}" if query else "")
    headers = {name: value.format_map(at) for name, value in rule.headers.items()} | (headers or {})
    return await made.ask(letter, route.method, path, body=body, send=rule.send, headers=headers)


def filled(body: Any, at: dict[str, str]) -> Any:
    """A body of the table with what the company has put in."""
    if isinstance(body, dict):
        return {name: filled(value, at) for name, value in body.items()}
    return body.format_map(at) if isinstance(body, str) else body


def put(body: Any, place: Place, text: str) -> Any:
    """A body with a text at a place of it."""
    if not place:
        return text
    if place[0] == 0:
        return [put(body[0] if body else None, place[1:], text)]
    return {**(body or {}), str(place[0]): put((body or {}).get(place[0]), place[1:], text)}


async def booked(made: Company) -> dict[str, Any]:
    """What is booked and made by now."""
    return (await made.control.rows(BOOKED))[0]


def growth(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """How much more there is of what; offers as they are, where they changed."""
    changed = {name: value for name, value in after.items() if value != before[name]}
    return {name: value if name == "offers" else value - before[name] for name, value in changed.items()}


async def fault(made: Company, field: str, text: str, answer: httpx2.Response) -> str:
    """What is wrong with an answer to a text in a field, if anything."""
    if answer.status_code >= 300:
        is_said = answer.request.method == "HEAD" or len(answer.json()["detail"]) > 10
        return "" if 400 <= answer.status_code < 500 and is_said else "says nothing"
    if field in KEPT:
        text = text.replace("/", "") if field == "mark_worker worker" else text
        page = await made.ask("x", "GET", KEPT[field].format_map(made.at), headers={}) if KEPT[field] else answer
        return "" if {text} <= told(answer.json()) & told(page.json()) else "is not told as it is"
    if field in SOUGHT:
        is_sheet = answer.headers["content-type"].startswith("text/csv")
        found = answer.text.splitlines()[1:] if is_sheet else answer.json()["items"]
        return "" if all(any(text in one for one in told(item)) for item in found) else "finds what does not hold it"
    return "" if field in IGNORED else "is taken"


def told(value: Any) -> set[str]:
    """All texts in an answer."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return set().union(*(told(one) for one in value))
    return {value} if isinstance(value, str) else set()
