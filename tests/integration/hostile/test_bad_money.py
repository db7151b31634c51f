"""Wrong amounts, currencies, names and clocks at every route that writes value: a clear 4xx, and nothing is booked.

What is proven elsewhere stays there: prices that changed, coupons that many bring at once, overdrafts, clicks at once
(control/test_checkout.py, test_coupons.py, test_wallet.py), webhooks of 10 MB (test_provider_events.py), edges whose
clock is wrong (test_rights.py), SQL and HTML in the texts of all routes (test_hostile_text.py).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from gateway.control.app import ROUTES
from gateway.control.checkout import actions as checkout
from gateway.control.checkout.model import OPEN_FOR
from gateway.control.ledger import actions as ledger
from gateway.control.ledger.model import HoldOrder
from gateway.control.worker import money, process
from shared.clock import ManualClock
from shared.settings import ControlSettings
from tests.support.control import Control, code_of, running_control
from tests.support.market import ask
from tests.support.providers import SECRET
from tests.support.shop import Shop, Viewer, open_shop
from tests.support.till import open_till
from tests.support.titles import desk

DAY_S = 86400
SQL, HTML = "'; drop table purchase; --", "<script>alert(1)</script>"
#: No amount at all, one below, none, a part of a unit, more than there is money, and what only looks like one.
AMOUNTS: list[Any] = [-1, 0, 0.5, 499.5, "500", True, [], 10**13, 2**63, 2**70, 1e300]
CURRENCIES: list[Any] = ["usd", "US", "XXX", "DOLLAR", "USD ", "US\x00", 840, SQL, HTML, None]
#: What people write for people: kept as it is.
WORDS = {
    ("refund_purchase", "reason"),
    ("reject_withdrawal", "reason"),
    ("complete_withdrawal", "rail_ref"),
    ("complete_payout_run", "rail_ref"),
}
#: Everything that a request may have moved or made.
BOOKED = """
select (select count(*) from txn) as txn, (select count(*) from posting) as posting,
    (select count(*) from hold) as hold, (select count(*) from purchase) as purchase,
    (select count(*) from refund) as refund, (select count(*) from payment) as payment,
    (select count(*) from withdrawal) as withdrawal, (select count(*) from gift_card) as gift_card,
    (select count(*) from coupon) as coupon, (select count(*) from payout_policy) as payout_policy,
    (select jsonb_agg(jsonb_build_array(id, amount, version, active) order by id) from offer) as offers
"""


class Counter:
    """A shop where somebody has bought and earned something, and all who may ask for more of it."""

    def __init__(self, shop: Shop, vera: Viewer, admin: Viewer, purchase: str) -> None:
        self.shop, self.vera, self.admin, self.purchase = shop, vera, admin, purchase
        self.handle = shop.seller.seller["handle"]

    def amounts(self) -> list[tuple[Viewer, str, str, str, dict[str, Any]]]:
        """Each route that takes an amount: who asks, how, which field, and a body that would do."""
        shop, vera = self.shop, self.vera
        by_owner = f"sellers/{self.handle}"
        own = {"kind": "own", "amount": 900, "currency": "USD"}
        change = {"version": shop.offer["version"], "amount": 900, "currency": "USD"}
        policy = {"rail": "paypal", "currency": "USD", "minimum": 1000, "hold_days": 1}
        coupon = {"code": "FIVER", "amount": 100, "currency": "USD"}
        usd = {"currency": "USD"}
        return [
            (vera, "POST", "wallet/top-ups", "amount", {"amount": 500, **usd}),
            (vera, "POST", "wallet/transfers", "amount", {"to": "otto", "amount": 500, **usd}),
            (vera, "POST", "gift-cards", "amount", {"amount": 500, **usd}),
            (shop.owner, "POST", f"{by_owner}/withdrawals", "amount", {"amount": 5000, **usd}),
            (shop.owner, "POST", f"{by_owner}/coupons", "amount", coupon),
            (shop.owner, "POST", f"titles/{shop.title}/offers", "amount", own),
            (shop.owner, "PUT", f"titles/{shop.title}/offers/{shop.offer['id']}", "amount", change),
            (self.admin, "POST", f"payments/{self.purchase}/refunds", "amount", {"reason": "x", "amount": 100}),
            (self.admin, "PUT", "policies", "minimum", policy),
        ]

    async def state(self) -> dict[str, Any]:
        """What is booked, made and offered by now."""
        return (await self.shop.control.rows(BOOKED))[0]

    async def refused(self, who: Viewer, method: str, path: str, /, *, body: Any) -> tuple[int, str]:
        """Status and code of a request that is a problem in words."""
        answer = await who.send(method, path, body)
        assert 400 <= answer.status_code < 500, f"{method} {path} {body}: {answer.status_code} {answer.text}"
        problem = answer.json()
        assert problem["code"] and len(problem["detail"]) > 10, problem
        assert "asyncpg" not in answer.text and "Traceback" not in answer.text
        return code_of(answer)


@pytest.fixture
async def counter(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Counter]:
    """Limits that nobody meets."""
    async with running_control(msgspec.structs.replace(settings, limits_scale=1e6), clock) as control:
        shop = await open_shop(control)
        vera, admin = await shop.viewer(funds=5000), await shop.viewer("ada", role="admin")
        await shop.viewer("otto")
        await shop.books.fund(20_000, f"earnings__{shop.seller.seller['id']}")
        purchase = (await shop.bought(vera))["id"]
        yield Counter(shop, vera, admin, purchase)


async def test_no_wrong_amount_is_booked_by_any_route(counter: Counter) -> None:
    before = await counter.state()
    for who, method, path, field, body in counter.amounts():
        for wrong in AMOUNTS:
            assert (await counter.refused(who, method, path, body={**body, field: wrong}))[0] == 422, (path, wrong)
    assert await counter.state() == before
    # What the routes take is taken: it was the amount that was refused.
    for who, method, path, _, body in counter.amounts():
        assert (await who.send(method, path, body)).status_code in (200, 201), path
    await counter.shop.audit()


async def test_no_wrong_currency_is_booked_by_any_route(counter: Counter) -> None:
    before = await counter.state()
    for who, method, path, _, body in counter.amounts():
        for wrong in CURRENCIES if "currency" in body else ():
            if path.endswith("/offers") and wrong is None:
                continue  # without a currency an offer has the title's
            status, _ = await counter.refused(who, method, path, body={**body, "currency": wrong})
            assert status in (404, 422), (path, wrong)
    for token in ("PAID", "BONUS", "USDC"):
        body = {"amount": 500, "currency": token}
        assert await counter.refused(counter.vera, "POST", "wallet/top-ups", body=body) == (422, "currency-unknown")
    assert await counter.state() == before


WRONG_ORDERS: list[dict[str, Any]] = [
    *({"version": wrong} for wrong in (0, -1, 1.5, "1", 2**31, None)),
    *({"offer": wrong} for wrong in (SQL, HTML, "", "off_" + "x" * 100, None, 1)),
    *({"pay": wrong} for wrong in ("paypal", "PAYPAL", SQL, HTML, "wallet\n", None)),
    *({"gift_to": wrong} for wrong in (SQL, HTML, "no\x00body", "")),
    *({"coupon": wrong} for wrong in (SQL, HTML, "NONE", "A\x00B")),
    *({"referral": wrong} for wrong in (SQL, HTML, "a" * 33)),
    *({"country": wrong, "pay": ""} for wrong in ("USA", "us", HTML)),
    *(
        {"return_path": wrong}
        for wrong in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:x")
    ),
    {"amount": 1},
    {"price": 1},
    {"state": "paid"},
    {"viewer": "usr_1"},
]


async def test_order_that_is_wrong_buys_nothing(counter: Counter) -> None:
    path, before = f"titles/{counter.shop.title}/checkout", await counter.state()
    nina = await counter.shop.viewer("nina")
    for wrong in WRONG_ORDERS:
        status, _ = await counter.refused(nina, "POST", path, body=counter.shop.order(**wrong))
        assert status in (404, 422), wrong
    assert await counter.state() == before and await counter.shop.rights(nina) == []


async def test_offer_of_another_title_or_seller_sells_only_that_one(counter: Counter) -> None:
    shop, rival = counter.shop, await desk(counter.shop.control, "rival")
    theirs = await rival.published(price_minor=100, name="Theirs")
    (cheap,) = (await rival.ask("GET", f"titles/{theirs['id']}/offers"))["items"]
    await ask(rival.http, "POST", "sellers/rival/coupons", 201, code="MINE", percent=100)
    nina, before = await shop.viewer("nina", funds=1000), await counter.state()
    path = f"titles/{shop.title}/checkout"
    wrong = shop.order(offer=cheap["id"], version=cheap["version"])
    assert (await counter.refused(nina, "POST", path, body=wrong))[0] == 404
    assert (await counter.refused(nina, "POST", path, body=shop.order(coupon="MINE")))[0] == 404
    other = Viewer(rival.http, rival.me)
    free, title = {"kind": "free"}, {"code": "ALL", "percent": 100, "title": shop.title}
    change = {"version": 1, "amount": 1, "currency": "USD"}
    for method, path, body, statuses in (
        ("POST", f"titles/{shop.title}/offers", free, {403}),
        ("PUT", f"titles/{shop.title}/offers/{shop.offer['id']}", change, {403}),
        ("PUT", f"titles/{theirs['id']}/offers/{shop.offer['id']}", change, {404}),
        ("DELETE", f"titles/{shop.title}/offers/{shop.offer['id']}", None, {403}),
        ("PUT", f"titles/{shop.title}/partners", {"items": []}, {403}),
        ("PUT", f"titles/{shop.title}/viewers/nina", None, {403}),
        ("POST", f"sellers/{counter.handle}/coupons", {"code": "ALL", "percent": 100}, {403}),
        ("POST", "sellers/rival/coupons", title, {422}),
        ("POST", f"sellers/{counter.handle}/withdrawals", {"amount": 5000, "currency": "USD"}, {403}),
        ("POST", f"payments/{counter.purchase}/refunds", {"reason": "mine"}, {403}),
        ("GET", f"payments/{counter.purchase}", None, {404}),
    ):
        assert (await counter.refused(other, method, path, body=body))[0] in statuses, path
    assert await counter.state() == before and await shop.rights(nina) == []


async def test_text_that_is_sql_or_html_stays_text(counter: Counter) -> None:
    body = {"reason": SQL + HTML, "amount": 100}
    made = await counter.admin.ask("POST", f"payments/{counter.purchase}/refunds", 201, body)
    assert made["reason"] == SQL + HTML
    (row,) = await counter.shop.control.rows("select reason from refund")
    assert row["reason"] == SQL + HTML
    for wrong in ("", "x" * 501, "a\x00b", None, 5):
        body = {"reason": wrong, "amount": 100}
        path = f"payments/{counter.purchase}/refunds"
        assert (await counter.refused(counter.admin, "POST", path, body=body))[0] == 422, wrong
    assert len(await counter.shop.control.rows("select id from refund")) == 1


async def test_sql_and_html_in_any_text_of_a_route_that_writes_value_do_nothing(counter: Counter) -> None:
    shop, vera, nina = counter.shop, counter.vera, await counter.shop.viewer("nina", funds=1000)
    at = {"title": shop.title, "handle": counter.handle, "offer": shop.offer["id"]}
    asks = {(method, path): (who, body) for who, method, path, _, body in counter.amounts()}
    asks["POST", "gift-cards/redeem"] = vera, {"code": "none"}
    asks["POST", f"titles/{shop.title}/checkout"] = nina, shop.order()
    before, asked = await counter.state(), 0
    for route in (route for route in ROUTES if route.idempotent and route.body):
        for field in msgspec.structs.fields(route.body):
            if "str" not in str(field.type) or (route.name, field.name) in WORDS:
                continue
            path = route.path.removeprefix("/v1/").format(**at)
            who, body = asks[route.method, path]
            for wrong in (SQL, HTML):
                await counter.refused(who, route.method, path, body={**body, field.name: wrong})
                asked += 1
    assert asked >= 40 and await counter.state() == before


async def test_words_on_a_withdrawal_stay_words(counter: Counter) -> None:
    terms = {"rail": "bank", "currency": "USD", "minimum": 100, "hold_days": 0}
    await counter.admin.ask("PUT", "policies", 200, terms)
    order = {"amount": 5000, "currency": "USD"}
    for decided, words in (("reject", "reason"), ("complete", "rail_ref")):
        made = await counter.shop.owner.ask("POST", f"sellers/{counter.handle}/withdrawals", 201, order)
        if decided == "complete":
            await counter.admin.ask("POST", f"withdrawals/{made['id']}/approve", 200)
        told = await counter.admin.ask("POST", f"withdrawals/{made['id']}/{decided}", 200, {words: SQL + HTML})
        assert told[words] == SQL + HTML
    await counter.shop.audit()


async def test_ids_that_are_no_ids_are_not_found(counter: Counter) -> None:
    for wrong in ("pur_none", "%00", "%27%3B%20drop%20table%20purchase%3B--", "x" * 300, "%F0%9F%98%80", "%2e%2e"):
        for who, method, path, body in (
            (counter.vera, "GET", f"payments/{wrong}", None),
            (counter.admin, "POST", f"payments/{wrong}/refunds", {"reason": "x"}),
            (counter.admin, "POST", f"refunds/{wrong}/retry", None),
            (counter.admin, "POST", f"withdrawals/{wrong}/approve", None),
            (counter.vera, "POST", f"titles/{wrong}/checkout", counter.shop.order()),
            (counter.shop.owner, "POST", f"sellers/{wrong}/withdrawals", {"amount": 5000, "currency": "USD"}),
        ):
            assert (await counter.refused(who, method, path, body=body))[0] in (404, 405, 422), path


async def test_session_that_is_over_pays_nothing(counter: Counter) -> None:
    control: Control = counter.shop.control
    before = await counter.state()
    control.clock.advance(1000 * DAY_S)
    for who, method, path, _, body in counter.amounts():
        assert await counter.refused(who, method, path, body=body) == (401, "unauthenticated"), path
    assert await counter.state() == before


a_day_off = pytest.mark.parametrize("off_s", [-DAY_S, DAY_S], ids=["behind", "ahead"])


@a_day_off
async def test_clock_that_is_a_day_off_charges_nothing_twice_and_settles_nothing_early(
    counter: Counter, off_s: int
) -> None:
    shop, control = counter.shop, counter.shop.control
    nina, seller = await shop.viewer("nina", funds=500), shop.seller.seller["id"]
    accounts = (f"wallet:{nina.id}", f"earnings_pending:{seller}", f"earnings:{seller}")
    first = await shop.buy(nina, key="once")
    control.clock.advance(off_s)
    again = await shop.buy(nina, key="once")
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert await shop.may_watch(nina)
    assert code_of(await shop.buy(nina, key="another")) == (409, "already-yours")
    assert await checkout.settle(shop=shop.wired) == 0
    assert await shop.amounts(*accounts) == [0, 900, 20_000]
    control.clock.advance(control.settings.earnings_hold_days * DAY_S - off_s)
    assert await checkout.settle(shop=shop.wired) == 2
    assert await shop.amounts(*accounts) == [0, 0, 20_900]
    await shop.audit()


@a_day_off
async def test_clock_that_is_a_day_off_pays_nothing_out_and_lets_go_of_nothing_early(
    counter: Counter, off_s: int
) -> None:
    shop, control, admin = counter.shop, counter.shop.control, counter.admin
    wallet, now = f"wallet:{counter.vera.id}", control.clock.now()
    order = HoldOrder(key="h", account=wallet, asset="USD", amount=400, expires_at=now + timedelta(days=2))
    async with shop.books.begin() as unit:
        await ledger.hold(order, ledger=unit.ledger)
    terms = {"rail": "bank", "currency": "USD", "minimum": 100, "hold_days": 2, "auto_up_to": 5000}
    await admin.ask("PUT", "policies", 200, terms)
    taken = {"amount": 5000, "currency": "USD"}
    withdrawal = await shop.owner.ask("POST", f"sellers/{counter.handle}/withdrawals", 201, taken)
    paid = f"withdrawals/{withdrawal['id']}/complete"

    async def turn() -> tuple[list[int], int]:
        """What runs of payouts hold, and what is set aside of the wallet, after a turn of the worker."""
        await money.pay_out(control.wiring)
        await process.expire_holds(control.wiring)
        runs = (await admin.ask("GET", "payouts"))["items"]
        return [run["count"] for run in runs], (await shop.books.amounts(wallet))[1]

    control.clock.advance(off_s)
    assert await turn() == ([], 400)
    assert await counter.refused(admin, "POST", paid, body={"rail_ref": "r"}) == (409, "withdrawal-not-due")
    control.clock.advance(2 * DAY_S - off_s)
    assert await turn() == ([1], 0)
    await shop.audit()


@a_day_off
async def test_what_is_sold_for_a_time_is_refused_by_a_clock_that_is_a_day_off_and_sold_by_one_that_is_right(
    counter: Counter, off_s: int
) -> None:
    shop, clock = counter.shop, counter.shop.control.clock
    hours = [(clock.now() + timedelta(hours=hour)).isoformat() for hour in (-1, 4)]
    window = {"starts_at": hours[0], "ends_at": hours[1]}
    rent = await shop.offers(kind="rent", hours=24, amount=300, **window)
    await shop.owner.ask("POST", f"sellers/{counter.handle}/coupons", 201, {"code": "TODAY", "percent": 50, **window})
    nina, path = await shop.viewer("nina", funds=550), f"titles/{shop.title}/checkout"
    rented, lowered = {"offer": rent["id"], "version": rent["version"]}, {"coupon": "TODAY"}
    over = "coupon-early" if off_s < 0 else "coupon-over"
    before = await counter.state()
    clock.advance(off_s)
    for order, code in ((rented, "offer-over"), (lowered, over)):
        assert await counter.refused(nina, "POST", path, body=shop.order(**order)) == (409, code)
    assert await counter.state() == before
    clock.advance(-off_s)
    await shop.bought(nina, **rented)
    assert await shop.may_watch(nina)
    # What was begun an hour ago is over for a clock that is ahead, and goes on once that is right again.
    clock.advance(3600)
    clock.advance(off_s)
    await money.end_rights(shop.control.wiring)
    assert await shop.may_watch(nina) == (off_s < 0)
    clock.advance(-off_s)
    assert await shop.may_watch(nina)
    assert (await shop.bought(nina, **lowered))["amount"] == 250
    assert await shop.amounts(f"wallet:{nina.id}") == [0]
    await shop.audit()


@a_day_off
@pytest.mark.parametrize("rail", ["stripe", "sandbox"])
async def test_webhook_of_another_day_is_refused_and_its_payment_is_found_by_looking(
    settings: ControlSettings, clock: ManualClock, off_s: int, rail: str
) -> None:
    async with open_till(settings, clock) as till:
        shop = await open_shop(till.control)
        nina, ours, stripe = await shop.viewer("nina"), shop.hands, till.hands
        purchase = await shop.bought(nina, pay=rail)
        (row,) = await till.control.rows("select provider_ref from purchase")
        await (stripe if rail == "stripe" else ours).pay(row["provider_ref"], "approve")
        # Stripe's signatures are checked by the machine's clock: so they are made as one would that is right.
        another_day = int(time.time()) - off_s
        sent = stripe.server.deliveries(SECRET, at=another_day) if rail == "stripe" else await ours.webhooks()
        clock.advance(off_s)
        assert sent
        for headers, body in sent:
            answer = await till.control.http.post(f"/v1/webhooks/{rail}", content=body, headers=headers)
            assert code_of(answer) == (400, "bad-webhook")
        assert await till.kept() == 0
        clock.advance(-off_s)
        assert await shop.rights(nina) == [] and await shop.amounts(f"cash:{rail}") == [0]
        clock.advance(OPEN_FOR.total_seconds())
        assert await checkout.look_after(shop=shop.wired) == 1
        assert (await nina.ask("GET", f"payments/{purchase['id']}"))["state"] == "paid"
        assert await shop.rights(nina) == ["own"]
        await shop.audit()
