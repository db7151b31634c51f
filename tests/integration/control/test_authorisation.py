"""Every route by everybody, on their own things and on others': who may is let in, nobody else learns a thing.

`TABLE` says who may ask for what; a route that it does not name fails. Who may not is answered 401 where nobody is
logged in, 404 where it may not know that there is such a thing, else 403.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from gateway.control.app import ROUTES
from gateway.control.route import SAFE, Route
from shared.clock import ManualClock
from shared.settings import ControlSettings
from tests.support.company import ROLES, Company, company
from tests.support.control import PASSWORD, running_control
from tests.support.tus import TUS

ALL = "".join(ROLES)
_NUMBERS = itertools.count(1)
#: Who has a session, and who has an account.
HERE, MEMBERS = ALL.replace("a", ""), ALL.replace("a", "").replace("g", "")
#: Who knows of a seller's titles that are not on show.
KNOW = "ueosdmx"
TUS_BYTES = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "7"}
BEGINNING = {**TUS, "Upload-Length": "100", "Upload-Metadata": "{metadata}"}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Who may, by the letters of ROLES, and what they are answered. `blind`: who does not know of the thing.

    What stands in braces is put in from what the company has; `{n}` is another number each time. `at`: what stands in
    the path instead. `silent`: acting leaves nothing on record, since it is nobody else's business.
    """

    may: str
    ok: Sequence[int] = (200, 201, 202, 204)
    blind: str = ""
    body: Any = None
    send: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""
    at: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    endless: bool = False

    def expected(self, letter: str, route: Route) -> Sequence[int]:
        """The statuses that this one may be answered."""
        if letter in self.may:
            return self.ok
        is_out = letter == "a" or (letter == "g" and (route.login or letter not in self.blind))
        return (401,) if is_out else (404,) if letter in self.blind else (403,)


OTHERS = {letters: "".join(one for one in ALL if one not in letters) for letters in ("b", "o", "bsdx", "eox", KNOW)}
RENT = {"kind": "rent", "hours": 36, "amount": 300}
CHANGED = {"version": 1, "amount": 400, "currency": "USD"}
MONEY = {"amount": 100, "currency": "USD"}
COLLIDES = (200, 409)
GONE_BY_THEN = (204, 404)

TABLE: dict[str, Rule] = {
    # Coming in.
    "challenge": Rule(may=ALL),
    "register": Rule(
        may=ALL,
        body={"email": "n{n}@example.org", "username": "new-{n}", "password": PASSWORD},
        silent=True,
    ),
    "login": Rule(may=ALL, body={"login": "extra", "password": PASSWORD, "bearer": True}, silent=True),
    "forgot": Rule(may=ALL, body={"email": "nobody@example.org"}, silent=True),
    "reset": Rule(may=ALL, ok=(410,), body={"token": "t", "password": PASSWORD}),
    "set_up": Rule(
        may=ALL,
        ok=(409,),
        body={"email": "n{n}@example.org", "username": "new-{n}", "password": PASSWORD, "portal_name": "Mine"},
    ),
    # Oneself.
    "me": Rule(may=MEMBERS),
    "change_me": Rule(may=MEMBERS, body={}),
    "delete_me": Rule(may=MEMBERS, ok=(403,), body={"password": "not mine"}),
    "export_me": Rule(may=MEMBERS),
    "list_devices": Rule(may=MEMBERS),
    "revoke_device": Rule(may="b", blind=OTHERS["b"], silent=True),
    "list_screens": Rule(may=HERE),
    "stop_screen": Rule(may="b", blind=OTHERS["b"], silent=True),
    "stop_other_screens": Rule(may=HERE, silent=True),
    "list_watching": Rule(may=HERE),
    "list_watched": Rule(may=HERE),
    "put_referral": Rule(may=MEMBERS, silent=True),
    # Roles and sellers.
    "give_role": Rule(may="x"),
    "take_role": Rule(may="x"),
    "create_seller": Rule(may=MEMBERS, body={"name": "New", "handle": "new-{n}"}),
    "read_seller": Rule(may=ALL),
    "list_members": Rule(may="ueox"),
    "put_member": Rule(may="ox", body={"role": "uploader"}),
    "delete_member": Rule(may="ox", ok=GONE_BY_THEN),
    "list_payees": Rule(may="ueox"),
    "onboard_payee": Rule(may="ox", ok=(409,), body={"country": "DE"}),
    # The portal.
    "read_portal": Rule(may=ALL),
    "change_portal": Rule(may="x", body={"name": "Ours"}),
    "list_flags": Rule(may="dx"),
    "switch_flag": Rule(may="x", body={"enabled": False}),
    "read_openapi": Rule(may=ALL),
    "read_health": Rule(may=ALL),
    "read_keys": Rule(may=ALL),
    # Titles.
    "list_titles": Rule(may=ALL),
    "create_title": Rule(may="eox", blind=OTHERS["eox"], body={"seller": "{handle}", "name": "New"}),
    "read_title": Rule(may=ALL),
    "change_title": Rule(may="eox", body={"description": "Of the sea."}),
    "publish_title": Rule(may="eox", ok=COLLIDES, blind=OTHERS[KNOW], at={"title": "{spare}"}),
    "archive_title": Rule(may="eox", ok=COLLIDES, at={"title": "{spare}"}),
    "take_down_title": Rule(may="mx", body={"reason": "r", "notice": "n"}, at={"title": "{harmful}"}),
    "restore_title": Rule(may="mx", ok=COLLIDES, at={"title": "{harmful}"}),
    "read_poster": Rule(may=ALL),
    "list_studio": Rule(may=KNOW, blind=OTHERS[KNOW], query="seller={handle}"),
    "list_all_titles": Rule(may="sdmx"),
    "read_title_watched": Rule(may="eox"),
    # Masters, jobs, subtitles, the farm.
    "describe_uploads": Rule(may=ALL),
    "begin_upload": Rule(may="ueox", headers=BEGINNING, silent=True),
    "read_upload": Rule(may="o", blind=OTHERS["o"], headers=TUS),
    "continue_upload": Rule(may="o", ok=(409,), blind=OTHERS["o"], send=b"x", headers=TUS_BYTES),
    "end_upload": Rule(may="o", blind=OTHERS["o"], headers=TUS, silent=True),
    "list_jobs": Rule(may=KNOW),
    "read_job": Rule(may=KNOW, blind=OTHERS[KNOW]),
    "follow_job": Rule(may=KNOW, blind=OTHERS[KNOW]),
    "cancel_job": Rule(may="eox", ok=(409,), blind=OTHERS[KNOW]),
    "retry_job": Rule(may="eox", ok=(409,), blind=OTHERS[KNOW]),
    "list_subtitles": Rule(may=KNOW),
    "put_subtitles": Rule(may="eox", send=b"WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n"),
    "read_subtitles": Rule(may=KNOW),
    "delete_subtitles": Rule(may="eox", ok=GONE_BY_THEN),
    "read_farm": Rule(may="x"),
    "list_farm_jobs": Rule(may="x"),
    "read_farm_job": Rule(may="x"),
    "mark_worker": Rule(may="x", body={"state": "open"}),
    # Watching.
    "play": Rule(may="bueomx", body={}, silent=True),
    "read_making": Rule(may="bueomx"),
    "list_viewers": Rule(may="osdx"),
    "put_viewer": Rule(may="ox"),
    "delete_viewer": Rule(may="ox"),
    "list_blocked": Rule(may="osdx"),
    "block_viewer": Rule(may="ox"),
    "unblock_viewer": Rule(may="ox"),
    "revoke_links": Rule(may="mx", body={"kind": "viewer", "id": "extra"}),
    # What is sold.
    "list_offers": Rule(may=ALL),
    "create_offer": Rule(may="eox", body=RENT),
    "change_offer": Rule(may="eox", ok=COLLIDES, body=CHANGED),
    "retire_offer": Rule(may="eox", ok=GONE_BY_THEN),
    "list_all_offers": Rule(may="eosdx"),
    "read_card_price": Rule(may=MEMBERS, query="amount=500&currency=USD"),
    "create_coupon": Rule(may="eox", body={"code": "CODE-{n}", "percent": 10}),
    "list_coupons": Rule(may="eosdx"),
    "retire_coupon": Rule(may="eox", ok=GONE_BY_THEN),
    "read_partners": Rule(may="eox"),
    "put_partners": Rule(may="ox", body={"items": [{"seller": "rival", "share_bp": 500}]}),
    # What is bought.
    "check_out": Rule(may=MEMBERS, ok=(201, 409), body={"offer": "{own}", "version": 1}),
    "top_up": Rule(may=MEMBERS, body={**MONEY, "amount": 1000, "pay": "sandbox"}),
    "read_purchase": Rule(may="bsdx", blind=OTHERS["bsdx"]),
    "refund_purchase": Rule(may="x", body={"reason": "r"}),
    "retry_refund": Rule(may="x", ok=(404,)),
    "read_sandbox_payment": Rule(may=ALL),
    "pay_at_sandbox": Rule(may=ALL, ok=COLLIDES, body={"number": "4242424242424242"}, silent=True),
    "answer_sandbox": Rule(may=ALL, ok=COLLIDES, body={"passed": True}, silent=True),
    "leave_sandbox": Rule(may=ALL, ok=COLLIDES, silent=True),
    "take_webhook": Rule(may=ALL, ok=(400,), send=b"{}"),
    "buy_gift_card": Rule(may=MEMBERS, ok=(201, 409), body=MONEY),
    "redeem_gift_card": Rule(may=MEMBERS, ok=(404,), body={"code": "none"}),
    "list_gift_cards": Rule(may=MEMBERS),
    # Wallets and earnings.
    "read_wallet": Rule(may=MEMBERS),
    "follow_wallet": Rule(may=MEMBERS, endless=True),
    "put_display": Rule(may=MEMBERS, body={"currency": "IDR"}, silent=True),
    "list_payments": Rule(may=MEMBERS),
    "send_transfer": Rule(may=MEMBERS, ok=(201, 409), body={**MONEY, "to": "extra"}),
    "read_earnings": Rule(may="ox"),
    "follow_earnings": Rule(may="ox", endless=True),
    "withdraw_earnings": Rule(may="ox", body={**MONEY, "amount": 5000}),
    "list_withdrawals": Rule(may="ox"),
    "list_waiting_withdrawals": Rule(may="x"),
    "approve_withdrawal": Rule(may="x"),
    "complete_withdrawal": Rule(may="x", ok=COLLIDES, body={"rail_ref": "r"}),
    "reject_withdrawal": Rule(may="x", body={"reason": "r"}),
    "list_policies": Rule(may="x"),
    "put_policy": Rule(may="x", body={"rail": "bank", "currency": "USD", "minimum": 5000, "hold_days": 7}),
    "list_sales": Rule(may="ox"),
    "list_statements": Rule(may="ox"),
    "read_statement": Rule(may="ox"),
    "read_statement_csv": Rule(may="ox"),
    "read_report": Rule(may="dx", query="month={month}"),
    "read_report_csv": Rule(may="dx", query="month={month}"),
    "read_statement_pdf": Rule(may="ox"),
    "list_terms": Rule(may="ox"),
    "list_payout_runs": Rule(may="x"),
    "read_payout_run": Rule(may="x", ok=(404,)),
    "export_payout_run": Rule(may="x", ok=(404,)),
    "complete_payout_run": Rule(may="x", ok=(404,), body={"rail_ref": "r"}),
    "ask_reconciliation": Rule(may="x", ok=(409,), body={}),
    "list_reconciliations": Rule(may="dx"),
    "read_reconciliation": Rule(may="dx", ok=(404,)),
    # Webhooks out.
    "list_webhook_endpoints": Rule(may="ox", query="seller={handle}"),
    "add_webhook_endpoint": Rule(may="ox", body={"url": "https://example.com/{n}", "seller": "{handle}"}),
    "change_webhook_endpoint": Rule(may="ox", body={"types": []}),
    "rotate_webhook_secret": Rule(may="ox"),
    "test_webhook_endpoint": Rule(may="ox", silent=True),
    "list_webhook_deliveries": Rule(may="ox"),
    "replay_webhook_delivery": Rule(may="ox", ok=(404,)),
    "remove_webhook_endpoint": Rule(may="ox", ok=GONE_BY_THEN),
    # The office.
    "list_users": Rule(may="sdmx"),
    "read_user": Rule(may="sdmx"),
    "disable_user": Rule(may="mx", body={"reason": "r"}),
    "enable_user": Rule(may="mx"),
    "list_all_payments": Rule(may="sdx"),
    "read_any_payment": Rule(may="sdx"),
    "list_refunds": Rule(may="sdx"),
    "list_audit": Rule(may="dx"),
    "export_audit": Rule(may="dx"),
    # Last, since it ends the sessions of all who ask.
    "logout": Rule(may=ALL, silent=True),
}


def test_table_names_each_route_and_no_other() -> None:
    assert sorted(TABLE) == sorted(route.name for route in ROUTES)


@pytest.fixture
async def made(settings: ControlSettings, clock: ManualClock) -> Any:
    """The company, at a portal without rate limits."""
    async with running_control(msgspec.structs.replace(settings, limits_scale=1e6), clock) as control:
        yield await company(control)


async def test_everybody_may_what_the_table_says_and_learns_nothing_else(made: Company) -> None:
    by_name = {route.name: route for route in ROUTES}
    wrong, unrecorded = [], []
    for name, rule in TABLE.items():
        route, before, acted = by_name[name], await made.recorded(), False
        for letter in sorted(ALL, key=lambda one: one in rule.may):  # those who may come last, for what they change
            if rule.endless and letter in rule.may:
                continue
            answer = await _ask(made, route, rule, letter)
            acted |= letter in rule.may and answer.status_code < 300
            wrong += _wrong(made, rule, letter, route, answer)
        if acted and route.method not in SAFE and not rule.silent and await made.recorded() == before:
            unrecorded.append(name)
    assert wrong == [], "\n".join(wrong)
    assert unrecorded == []


async def test_draft_is_unknown_to_all_who_do_not_work_on_it(made: Company) -> None:
    wrong = []
    for route in (route for route in ROUTES if "{title}" in route.path):
        rule = TABLE[route.name]
        for letter in OTHERS[KNOW]:
            answer = await _ask(made, route, rule, letter, title=made.at["draft"])
            expected = 401 if route.login and letter in "ag" else 404
            if answer.status_code != expected or any(secret in answer.text for secret in made.secrets):
                wrong.append(f"{route.name} by {ROLES[letter]}: {answer.status_code}, {answer.text[:200]}")
    assert wrong == [], "\n".join(wrong)


async def _ask(made: Company, route: Route, rule: Rule, letter: str, **things: str) -> Any:
    number = next(_NUMBERS)
    things = made.at | {name: _filled(text, made.at) for name, text in rule.at.items()} | things | {"n": str(number)}
    path = _filled(route.path, things) + (f"?{_filled(rule.query, things)}" if rule.query else "")
    headers = {name: _filled(value, things) for name, value in rule.headers.items()}
    return await made.ask(letter, route.method, path, body=_put(rule.body, things), send=rule.send, headers=headers)


def _filled(text: str, things: dict[str, str]) -> str:
    return "".join(literal + (things[name] if name else "") for literal, name, *_ in string.Formatter().parse(text))


def _put(body: Any, things: dict[str, str]) -> Any:
    if isinstance(body, dict):
        return {name: _put(value, things) for name, value in body.items()}
    return _filled(body, things) if isinstance(body, str) else body


def _wrong(made: Company, rule: Rule, letter: str, route: Route, answer: Any) -> list[str]:
    """What is wrong with an answer: its status, or what it tells."""
    told = [secret for secret, may in made.secrets.items() if letter not in may and secret in answer.text]
    expected = tuple(rule.expected(letter, route))
    if answer.status_code in expected and not told:
        return []
    return [f"{route.name} by {ROLES[letter]}: {answer.status_code}, not {expected}, tells {told}: {answer.text[:200]}"]
