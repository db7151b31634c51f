"""The office: accounts, titles, payments and refunds of everybody, and who is shut out of the portal."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.support.control import PASSWORD, Control, code_of, log_in, make_admin, make_seller, post, register
from tests.support.shop import Shop, Viewer, open_shop, ref_of
from tests.support.titles import desk


async def staff(control: Control, role: str = "admin") -> httpx2.AsyncClient:
    """The browser of somebody with a role on the platform."""
    http = control.browser("10.9.0.1")
    await make_admin(control, (await register(http, f"the-{role}"))["id"], role)
    return http


async def get(http: httpx2.AsyncClient, path: str, status: int = 200, **query: Any) -> Any:
    answer = await http.get(f"/v1/admin/{path}", params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


async def listed(http: httpx2.AsyncClient, path: str, **query: Any) -> list[dict[str, Any]]:
    """All pages of a listing, one item each."""
    found: list[dict[str, Any]] = []
    page = await get(http, path, limit=1, **query)
    while True:
        found += page["items"]
        if page["next"] is None:
            return found
        page = await get(http, path, limit=1, cursor=page["next"], **query)


async def test_accounts_are_found_by_how_their_names_begin(control: Control) -> None:
    admin = await staff(control)
    for name in ("Anna", "ann", "anna.b", "bob", "ANNE"):
        await register(control.browser(), name)
    names = [one["username"] for one in await listed(admin, "users", q="ANN")]
    assert names == ["ann", "Anna", "anna.b", "ANNE"]
    assert [one["username"] for one in await listed(admin, "users")] == [*names, "bob", "the-admin"]
    assert await listed(admin, "users", q="nobody") == []
    assert await get(admin, "users", 422, cursor="é") and await get(admin, "users", 422, limit="x")


async def test_account_shows_its_roles_sellers_purchases_and_wallet(control: Control) -> None:
    shop = await open_shop(control)
    admin, vera = await staff(control), await shop.viewer(funds=2000)
    await make_seller(vera.http, "veras-films")
    await make_admin(control, vera.id, "support")
    await shop.bought(vera)
    found = await get(admin, "users/VERA")
    assert found == await get(admin, f"users/{vera.id}")
    assert (found["id"], found["email"], found["roles"]) == (vera.id, "vera@example.org", ["support"])
    assert [(one["handle"], one["role"]) for one in found["sellers"]] == [("veras-films", "owner")]
    assert (found["purchases"], found["logins"], found["disabled"]) == (1, 1, False)
    assert [(one["currency"], one["balance"]) for one in found["wallet"]] == [("USD", 1500)]
    assert (await get(await staff(control, "moderator"), "users/vera"))["wallet"] is None
    assert (await get(admin, "users/nobody", 404))["code"] == "not-found"


async def test_who_is_shut_out_is_logged_out_everywhere_and_stays_out_until_let_in(control: Control) -> None:
    admin = await staff(control)
    vera, phone = control.browser(), control.browser()
    me = await register(vera, "vera")
    await log_in(phone, "vera")
    found = await admin.put("/v1/admin/users/vera/disabled", json={"reason": "stolen cards"})
    assert found.status_code == 200, found.text
    told = found.json()
    assert (told["disabled"], told["disabled_reason"], told["logins"]) == (True, "stolen cards", 0)
    assert [(await http.get("/v1/me")).status_code for http in (vera, phone)] == [401, 401]
    assert code_of(await post(phone, "auth/login", login="vera", password=PASSWORD)) == (403, "account-disabled")
    assert code_of(await post(phone, "auth/login", login="vera", password="wrong")) == (401, "wrong-login")
    (push,) = await control.rows("select data from outbox where topic = 'push'")
    (sub,) = await control.rows("select sub from principal where id = $1", me["id"])
    assert (push["data"]["kind"], push["data"]["key"]) == ("sub", sub["sub"])
    again = await admin.put("/v1/admin/users/vera/disabled", json={"reason": "other words"})
    assert again.json()["disabled_reason"] == "stolen cards"
    back = await admin.request("DELETE", "/v1/admin/users/vera/disabled")
    assert (back.status_code, back.json()["disabled"]) == (200, False)
    await log_in(phone, "vera")
    rows = await control.rows("select action, before, after from audit where object = $1 order by seq", me["id"])
    assert [(row["action"], row["before"], row["after"]) for row in rows] == [
        ("account:disable", None, {"reason": "stolen cards"}),
        ("account:enable", {"reason": "stolen cards"}, None),
    ]


async def test_session_that_was_opened_while_shut_out_is_none(control: Control) -> None:
    admin, vera = await staff(control), control.browser()
    me = await register(vera, "vera")
    await control.rows("update principal set disabled_at = now() where id = $1", me["id"])
    assert (await vera.get("/v1/me")).status_code == 401
    assert (await admin.request("DELETE", "/v1/admin/users/vera/disabled")).status_code == 200
    assert (await vera.get("/v1/me")).status_code == 200


async def test_nobody_shuts_out_themselves_nor_who_stands_above_them(control: Control) -> None:
    admin, moderator = await staff(control), await staff(control, "moderator")
    await register(control.browser(), "vera")
    why = {"reason": "x"}
    assert code_of(await admin.put("/v1/admin/users/the-admin/disabled", json=why)) == (409, "own-account")
    assert code_of(await moderator.put("/v1/admin/users/the-admin/disabled", json=why)) == (403, "forbidden")
    assert (await moderator.put("/v1/admin/users/vera/disabled", json=why)).status_code == 200
    assert code_of(await (await staff(control, "support")).put("/v1/admin/users/vera/disabled", json=why)) == (
        403,
        "forbidden",
    )


async def test_an_admin_who_is_shut_out_does_not_count_as_one(control: Control) -> None:
    admin, other = await staff(control), control.browser()
    await make_admin(control, (await register(other, "other"))["id"])
    assert (await admin.put("/v1/admin/users/other/disabled", json={"reason": "left"})).status_code == 200
    taken = await admin.request("DELETE", "/v1/accounts/the-admin/roles/admin")
    assert code_of(taken) == (409, "last-admin")


async def test_titles_of_all_sellers_are_found_by_words_and_state(control: Control) -> None:
    support = await staff(control, "support")
    one, two = await desk(control, "studio"), await desk(control, "rivals")
    draft = await one.title(name="The Quiet Harbour")
    shown = await two.published(name="The Loud Harbour")
    gone = await two.published(name="The Lost Island")
    moderator = await staff(control, "moderator")
    order = {"reason": "a complaint", "notice": "not here"}
    assert (await moderator.put(f"/v1/titles/{gone['id']}/takedown", json=order)).status_code == 200

    async def are(*titles: dict[str, Any], **query: str) -> bool:
        found = [title["id"] for title in await listed(support, "titles", **query)]
        return found == sorted((one["id"] for one in titles), reverse=True)  # of one moment: the clock stands still

    assert await are(gone, shown, draft)
    assert await are(shown, draft, q="harb") and await are(draft, q="harb", state="draft")
    assert await are(gone, shown, state="published")
    assert await are(gone, state="taken-down") and await are(state="taken-down", q="harbour")
    assert (await get(support, "titles", 422, state="lost"))["code"] == "invalid"
    assert code_of(await one.http.get("/v1/admin/titles")) == (403, "forbidden")


async def bought(control: Control) -> tuple[Shop, Viewer, dict[str, Any], dict[str, Any]]:
    """A purchase by wallet that was given back, and one at the sandbox that waits for its payer."""
    shop = await open_shop(control)
    vera, rosa = await shop.viewer(funds=2000), await shop.viewer("rosa")
    paid, waits = await shop.bought(vera), await shop.bought(rosa, pay="sandbox")
    admin = Viewer(await staff(control), {"id": ""})
    await admin.ask("POST", f"payments/{paid['id']}/refunds", 201, {"reason": "did not play", "amount": 200})
    return shop, admin, paid, waits


async def test_payments_are_found_by_state_rail_title_buyer_and_time(control: Control) -> None:
    shop, admin, paid, waits = await bought(control)

    async def ids(**query: str) -> list[str]:
        return [one["id"] for one in await listed(admin.http, "payments", **query)]

    both = sorted((paid["id"], waits["id"]), reverse=True)  # the same moment, by the clock that stands still
    assert await ids() == both and await ids(title=shop.title) == both
    assert await ids(state="paid") == [paid["id"]] and await ids(state="new") == [waits["id"]]
    assert await ids(rail="sandbox") == [waits["id"]] and await ids(state="paid", rail="sandbox") == []
    assert await ids(buyer="Vera") == [paid["id"]] and await ids(buyer="nobody") == []
    assert await ids(buyer="rosa", title=shop.title, state="new", rail="sandbox") == [waits["id"]]
    now = control.clock.now().isoformat()
    assert await ids(since=now) == both and await ids(until=now) == []
    (line,) = await listed(admin.http, "payments", buyer="vera")
    assert (line["title_name"], line["seller"], line["viewer"], line["refunded"]) == (
        "The Long Way",
        "studio",
        "vera",
        200,
    )
    assert (await get(admin.http, "payments", 422, state="lost"))["code"] == "invalid"
    assert (await get(admin.http, "payments", 404, title="zzzz"))["code"] == "not-found"


async def test_payment_shows_each_movement_that_was_booked_for_it(control: Control) -> None:
    _, admin, paid, waits = await bought(control)
    found = await get(admin.http, f"payments/{paid['id']}")
    assert (found["payment"]["booked"], found["payment"]["fee_bp"], found["payment"]["amount"]) == (2, 1000, 500)
    assert [(part["kind"], part["name"], part["amount"], part["back"]) for part in found["parts"]] == [
        ("fee", "", 50, 20),
        ("earnings", "studio", 450, 180),
    ]
    (refund,) = found["refunds"]
    assert (refund["amount"], refund["reason"], refund["actor"], refund["state"]) == (
        200,
        "did not play",
        "the-admin",
        "done",
    )
    movements = {one["txn"]: one["kind"] for one in found["postings"]}
    assert list(movements.values()) == ["sale", "refund"]
    for txn in movements:
        assert sum(one["amount"] for one in found["postings"] if one["txn"] == txn) == 0
    untouched = await get(admin.http, f"payments/{waits['id']}")
    assert (untouched["postings"], untouched["parts"], untouched["refunds"]) == ([], [], [])
    assert (await get(admin.http, "payments/pur_1", 404))["code"] == "not-found"


async def test_refunds_that_failed_are_listed_with_why(control: Control) -> None:
    shop, admin, paid, waits = await bought(control)
    await shop.hands.pay(ref_of(waits), "approve")
    await shop.hear()
    made = await admin.ask("POST", f"payments/{waits['id']}/refunds", 201, {"reason": "twice", "amount": 100})
    await control.rows("update refund set state = 'failed', words = 'card closed' where id = $1", made["id"])
    (failed,) = await listed(admin.http, "refunds", state="failed")
    assert (failed["id"], failed["purchase"], failed["words"]) == (made["id"], waits["id"], "card closed")
    assert (failed["buyer"], failed["rail"], failed["actor"]) == ("rosa", "sandbox", "the-admin")
    (done,) = await listed(admin.http, "refunds", state="done")
    assert done["purchase"] == paid["id"]
    assert {one["id"] for one in await listed(admin.http, "refunds")} == {failed["id"], done["id"]}
    assert await listed(admin.http, "refunds", state="asked") == []


@pytest.mark.parametrize("path", ["users", "users/vera", "payments", "payments/pur_1", "refunds", "titles"])
async def test_office_is_closed_to_who_does_not_work_there(control: Control, path: str) -> None:
    vera = control.browser()
    await register(vera, "vera")
    await make_seller(vera, "films")
    assert code_of(await vera.get(f"/v1/admin/{path}")) == (403, "forbidden")
    assert code_of(await control.browser().get(f"/v1/admin/{path}")) == (401, "unauthenticated")
