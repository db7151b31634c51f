"""The audit trail: written with what it tells of, never changed, read by those who may, page by page and as CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

import asyncpg
import httpx2
import pytest

from gateway.control.audit.model import COLUMNS
from tests.support.control import Control, code_of, make_admin, make_seller, register
from tests.support.shop import Shop, open_shop


async def people(control: Control) -> tuple[httpx2.AsyncClient, dict[str, Any]]:
    """An auditor's browser, and a person to whom the admin `root` gave two roles."""
    await make_admin(control, (await register(control.http, "root"))["id"])
    ada = await register(control.browser(), "ada")
    for role in ("support", "moderator"):
        answer = await control.http.put(f"/v1/accounts/ada/roles/{role}")
        assert answer.status_code == 204, answer.text
    auditor = control.browser()
    await make_admin(control, (await register(auditor, "eva"))["id"], "auditor")
    return auditor, ada


async def trail(http: httpx2.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await http.get("/v1/audit", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("change", ["update audit set actor = 'nobody'", "delete from audit", "truncate audit"])
@pytest.mark.parametrize("granted", [False, True], ids=["as granted", "by who grants it to themselves"])
async def test_nothing_of_the_trail_changes_whoever_tries(control: Control, change: str, granted: bool) -> None:
    await people(control)
    async with control.wiring["pool"].acquire() as connection:
        if granted:
            await connection.execute("grant all on audit to current_user")
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.RaiseError)) as refused:
            await connection.execute(change)
    assert isinstance(refused.value, asyncpg.RaiseError) is granted
    assert await control.rows("select from audit where actor <> 'nobody'")


async def test_entry_tells_who_did_what_to_whom_from_where(control: Control) -> None:
    auditor, ada = await people(control)
    (entry,) = (await trail(auditor, object=ada["id"], limit=1))["items"]
    assert entry["actor_name"] == "root" and entry["object"] == ada["id"] and entry["object_name"] == "ada"
    assert entry["action"] == "role.give" and entry["place"] == "127.0.0.0/24"
    assert entry["before"] is None and entry["after"] == {"role": "moderator", "scope": "global"}


async def test_names_are_those_of_today_and_nobodys_where_an_account_is_gone(control: Control) -> None:
    auditor, ada = await people(control)
    http = control.browser()
    await http.post("/v1/auth/login", json={"login": "ada", "password": "correct horse battery"})
    assert (await http.patch("/v1/me", json={"username": "countess"})).status_code == 200
    assert {one["object_name"] for one in (await trail(auditor, action="role.give", object=ada["id"]))["items"]} == {
        "countess"
    }
    assert (await trail(auditor, actor="countess"))["items"][0]["after"] == {"fields": ["username"]}
    gone = await http.request("DELETE", "/v1/me", json={"password": "correct horse battery"})
    assert gone.status_code == 204, gone.text
    assert {one["object_name"] for one in (await trail(auditor, object=ada["id"]))["items"]} == {""}
    kept = await control.rows("select before::text || after::text as said, object, actor from audit")
    assert not [row for row in kept if "@" in str(row) or "countess" in str(row)]


async def test_pages_hold_each_entry_once_newest_first(control: Control) -> None:
    auditor, _ = await people(control)
    whole = (await trail(auditor))["items"]
    assert len(whole) >= 4 and [int(one["id"]) for one in whole] == sorted((int(o["id"]) for o in whole), reverse=True)
    found, query = [], {"limit": 1}
    while True:
        page = await trail(auditor, **query)
        found += page["items"]
        if page["next"] is None:
            break
        query = {"limit": 1, "cursor": page["next"]}
    assert found == whole


async def test_filters_find_what_they_name_and_nothing_else(control: Control) -> None:
    auditor, ada = await people(control)
    whole = (await trail(auditor))["items"]
    root = next(one["actor"] for one in whole if one["actor_name"] == "root")
    by_root = [one for one in whole if one["actor"] == root]
    assert (await trail(auditor, actor="ROOT"))["items"] == (await trail(auditor, actor=root))["items"] == by_root
    assert (await trail(auditor, actor="nobody-at-all"))["items"] == []
    system = [one for one in whole if one["actor"] == "system"]
    assert system and (await trail(auditor, actor="system"))["items"] == system
    assert (await trail(auditor, action="role.give"))["items"] == [o for o in whole if o["action"] == "role.give"]
    both = await trail(auditor, object=ada["id"], actor="root", action="role.give")
    assert len(both["items"]) == 2
    first = min(one["at"] for one in whole)
    assert (await trail(auditor, since=first))["items"] == whole and (await trail(auditor, until=first))["items"] == []
    assert (await trail(auditor, since="2999-01-01"))["items"] == []


@pytest.mark.parametrize("query", [{"since": "yesterday"}, {"cursor": "x"}, {"limit": "0"}, {"until": "9" * 40}])
async def test_query_that_is_none_is_refused(control: Control, query: dict[str, str]) -> None:
    auditor, _ = await people(control)
    assert code_of(await auditor.get("/v1/audit", params=query)) == (422, "invalid")


async def test_export_holds_all_that_a_page_does_and_no_formula(control: Control) -> None:
    auditor, ada = await people(control)
    async with control.wiring["begin"]() as unit:
        await unit.outbox.record(ada["id"], "=1+1", " ＝cmd", after={"said": 'a "quote", a comma'})
    answer = await auditor.get("/v1/audit.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    head, *lines = csv.reader(io.StringIO(answer.text))
    assert tuple(head) == COLUMNS
    assert len(lines) == len((await trail(auditor, limit=100))["items"])
    newest = dict(zip(head, lines[1], strict=True))  # the first tells of the export itself
    assert (newest["action"], newest["object"]) == ("'=1+1", "' ＝cmd") and newest["actor_name"] == "ada"
    assert newest["after"] == '{"said":"a \\"quote\\", a comma"}' and newest["before"] == ""
    one = await auditor.get("/v1/audit.csv", params={"object": ada["id"], "action": "role.give"})
    assert len(one.text.splitlines()) == 3
    (newest, *_) = (await trail(auditor, action="audit:export"))["items"]
    assert newest["actor_name"] == "eva" and newest["after"]["object"] == ada["id"]


async def test_trail_is_for_those_who_may_read_it(control: Control) -> None:
    _, ada = await people(control)
    for path in ("/v1/audit", "/v1/audit.csv"):
        assert code_of(await control.browser().get(path)) == (401, "unauthenticated")
        seller = control.browser()
        await register(seller, f"seller-{len(path)}")
        await make_seller(seller, f"films-{len(path)}")
        assert code_of(await seller.get(path)) == (403, "forbidden")
    assert ada["id"]


async def last(shop: Shop, action: str) -> dict[str, Any]:
    rows = await shop.control.rows("select * from audit where action = $1 order by seq desc limit 1", action)
    return rows[0]


async def test_value_that_moves_is_on_record_in_the_transaction_that_moved_it(control: Control) -> None:
    shop = await open_shop(control)
    vera, rosa = await shop.viewer(funds=10_000), await shop.viewer("rosa")
    purchase = await shop.bought(vera)
    entry = await last(shop, "value:check_out")
    assert (entry["actor"], entry["object"], entry["place"]) == (vera.id, purchase["id"], "10.2.180.0/24")
    said = {"kind": "title", "state": "paid", "title": shop.title, "amount": 500, "currency": "USD", "rail": "wallet"}
    assert entry["after"] == said
    sent = await vera.ask("POST", "wallet/transfers", 201, {"to": "rosa", "amount": 200, "currency": "USD"})
    transfer = await last(shop, "value:send_transfer")
    assert (transfer["object"], transfer["after"]["txn"]) == (rosa.id, sent["txn"])
    card = await vera.ask("POST", "gift-cards", 201, {"amount": 300, "currency": "USD"})
    bought = await last(shop, "value:buy_gift_card")
    assert bought["object"] == card["id"] and card["code"] not in str(bought)
    await rosa.ask("POST", "gift-cards/redeem", 200, {"code": card["code"]})
    assert (await last(shop, "value:redeem_gift_card"))["actor"] == rosa.id


async def test_request_that_is_refused_or_sent_again_leaves_no_second_entry(control: Control) -> None:
    shop = await open_shop(control)
    vera = await shop.viewer(funds=600)
    for _ in range(2):
        assert (await shop.buy(vera, key="once")).status_code == 201
    refused = await vera.send("POST", "wallet/transfers", {"to": "studio", "amount": 5000, "currency": "USD"})
    assert refused.status_code == 409, refused.text
    rows = await control.rows("select action from audit where action like 'value:%'")
    assert [row["action"] for row in rows] == ["value:check_out"]
