"""Offers through the real app: made, changed, shown to a viewer at the price they pay, and found by who buys."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from gateway.control.auth import Principal
from gateway.control.checkout.model import CheckoutOrder
from gateway.control.offers import actions as offers
from shared.errors import Conflict, NotFound, PriceChanged
from shared.rates import RATES_OF
from tests.support.control import Control, code_of, register
from tests.support.market import ask, fund, sell, tell
from tests.support.titles import Desk, desk

#: Whoever buys.
BUYER = Principal("usr_1", "registered", "sub_1")


def shown(answer: dict[str, Any]) -> list[tuple[str, int | None, int]]:
    return [(item["kind"], item["hours"], item["price"]["amount"]) for item in answer["items"]]


async def find(control: Control, scope: str, offer: dict[str, Any], version: int = 1) -> Any:
    async with control.wiring["begin"]() as unit:
        wanted = CheckoutOrder(offer=offer["id"], version=version)
        return await offers.find(scope, wanted, by=BUYER, unit=unit, clock=control.clock)


async def test_viewer_sees_every_way_to_get_a_title_the_cheapest_first(control: Control, seller: Desk) -> None:
    title = await seller.published(price_minor=999)
    path = f"titles/{title['id']}/offers"
    await ask(seller.http, "POST", path, 201, kind="rent", hours=72, amount=399)
    await ask(seller.http, "POST", path, 201, kind="view", amount=199)
    answer = (await control.http.get(f"/v1/{path}")).json()
    assert shown(answer) == [("view", None, 199), ("rent", 72, 399), ("own", None, 999)]
    assert (answer["allow"], answer["reason"], answer["items"][0]["price"]["currency"]) == (False, "no-right", "USD")
    assert (await seller.ask("GET", f"titles/{title['id']}"))["price_minor"] == 999
    owner = (await seller.http.get(f"/v1/{path}")).json()
    assert (owner["allow"], owner["reason"]) == (True, "owner")


async def test_viewer_reads_about_how_much_it_is_in_their_currency_and_whether_what_they_rented_runs(
    control: Control, seller: Desk
) -> None:
    title = await seller.published(price_minor=999)
    path = f"titles/{title['id']}/offers"
    assert (await control.http.get(f"/v1/{path}")).json()["items"][0]["shown"] is None
    http = control.browser("10.3.0.1")
    vera = (await register(http, "vera"))["id"]
    await http.put("/v1/wallet/display", json={"currency": "IDR"})
    told = (await http.get(f"/v1/{path}")).json()
    assert told["items"][0]["shown"] == {"amount": 16983000, "currency": "IDR", "rates_of": RATES_OF}
    assert (told["items"][0]["price"]["currency"], told["begun"]) == ("USD", True)
    await sell(control, vera, title["id"], "rent", hours=24)
    begun = []
    for _ in range(2):
        begun.append((await http.get(f"/v1/{path}")).json()["begun"])
        assert (await http.post(f"/v1/titles/{title['id']}/play", json={})).status_code == 200
    assert begun == [False, True]


async def test_offer_is_made_once_however_often_it_is_sent_and_not_without_a_key(
    control: Control, seller: Desk
) -> None:
    title = await seller.published()
    path = f"titles/{title['id']}/offers"
    body = {"kind": "rent", "hours": 24, "amount": 299}
    one = await ask(seller.http, "POST", path, 201, key="k1", **body)
    assert await ask(seller.http, "POST", path, 201, key="k1", **body) == one
    assert len((await seller.ask("GET", f"studio/{path}"))["items"]) == 1
    assert code_of(await seller.http.post(f"/v1/{path}", json=body)) == (422, "idempotency-key-missing")


async def test_change_makes_a_version_and_a_stale_one_is_refused(control: Control, seller: Desk) -> None:
    title = await seller.published(price_minor=999)
    offer = (await seller.ask("GET", f"studio/titles/{title['id']}/offers"))["items"][0]
    path = f"titles/{title['id']}/offers/{offer['id']}"
    changed = await ask(seller.http, "PUT", path, version=1, amount=799, currency="USD")
    assert (changed["version"], changed["amount"]) == (2, 799)
    problem = await ask(seller.http, "PUT", path, 409, version=1, amount=1, currency="USD", accept_loss=True)
    assert problem["code"] == "stale-version"
    assert (await seller.ask("GET", f"titles/{title['id']}"))["price_minor"] == 799
    history = await control.rows("select version, amount::int from offer_version where offer = $1", offer["id"])
    assert [(row["version"], row["amount"]) for row in history] == [(1, 999), (2, 799)]
    assert len(await control.rows("select 1 from audit where action = 'offer:change'")) == 1


async def test_buyer_pays_what_they_saw_or_is_told_the_new_price(control: Control, seller: Desk) -> None:
    title = await seller.published(price_minor=999)
    offer = (await seller.ask("GET", f"studio/titles/{title['id']}/offers"))["items"][0]
    assert (await find(control, title["id"], offer)).amount == 999
    path = f"titles/{title['id']}/offers/{offer['id']}"
    await ask(seller.http, "PUT", path, version=1, amount=1299, currency="USD")
    with pytest.raises(PriceChanged, match=r"12\.99 USD") as changed:
        await find(control, title["id"], offer)
    told: Any = changed.value.details["offer"]
    assert (told["offer"], told["version"], told["amount"]) == (offer["id"], 2, 1299)
    assert (await find(control, title["id"], offer, told["version"])).amount == 1299
    await ask(seller.http, "DELETE", path, 204)
    with pytest.raises(Conflict) as over:
        await find(control, title["id"], offer, 3)
    assert over.value.code == "offer-over"
    for scope, id in (("ttl_" + "0" * 32, offer["id"]), (title["id"], "off_" + "0" * 32)):
        with pytest.raises(NotFound):
            await find(control, scope, {"id": id})


async def test_price_that_changed_is_told_as_it_would_be_charged(control: Control, seller: Desk) -> None:
    title = await seller.published(price_minor=999)
    offer = (await seller.ask("GET", f"studio/titles/{title['id']}/offers"))["items"][0]
    await ask(seller.http, "POST", "sellers/studio/coupons", 201, code="THIRD", percent=33, uses_max=1)
    path = f"titles/{title['id']}/offers/{offer['id']}"
    await ask(seller.http, "PUT", path, version=1, amount=1299, currency="USD")
    vera, otto = control.browser("10.3.0.1"), control.browser("10.3.0.2")
    await fund(control, (await register(vera, "vera"))["id"], 1000)
    await register(otto, "otto")

    async def buy(http: httpx2.AsyncClient, status: int, version: int) -> Any:
        order = {"offer": offer["id"], "version": version, "coupon": "third"}
        return await ask(http, "POST", f"titles/{title['id']}/checkout", status, **order)

    changed = await buy(vera, 409, 1)
    assert (changed["code"], changed["detail"]) == ("price-changed", "It costs 8.71 USD by now.")
    told = changed["details"]["offer"]
    assert (await buy(vera, 201, told["version"]))["amount"] == told["amount"] == 871
    used_up = await buy(otto, 409, 1)
    assert (used_up["code"], used_up["details"]["offer"]["amount"]) == ("price-changed", 1299)


async def test_price_cannot_change_while_a_purchase_is_booked(control: Control, seller: Desk) -> None:
    title = await seller.published(price_minor=999)
    offer = (await seller.ask("GET", f"studio/titles/{title['id']}/offers"))["items"][0]
    path = f"titles/{title['id']}/offers/{offer['id']}"
    async with control.wiring["begin"]() as unit:
        wanted = CheckoutOrder(offer=offer["id"], version=1)
        await offers.find(title["id"], wanted, by=BUYER, unit=unit, clock=control.clock)
        changing = asyncio.create_task(ask(seller.http, "PUT", path, version=1, amount=1299, currency="USD"))
        done, _ = await asyncio.wait({changing}, timeout=0.3)
        assert not done
        again = await offers.find(title["id"], wanted, by=BUYER, unit=unit, clock=control.clock)
        assert again.amount == 999
    assert (await changing)["version"] == 2


async def test_sale_opens_and_closes_by_the_clock_and_the_dearer_offer_leads_to_it(
    control: Control, seller: Desk
) -> None:
    title = await seller.published(price_minor=999)
    path = f"titles/{title['id']}/offers"
    offer = (await seller.ask("GET", f"studio/{path}"))["items"][0]
    now = control.clock.now()
    window = {"starts_at": (now + timedelta(hours=1)).isoformat(), "ends_at": (now + timedelta(hours=2)).isoformat()}
    await ask(seller.http, "POST", path, 201, kind="own", amount=499, **window)
    seen = []
    for _ in range(3):
        seen.append(shown((await control.http.get(f"/v1/{path}")).json()))
        control.clock.advance(3600)
    assert seen == [[("own", None, 999)], [("own", None, 499)], [("own", None, 999)]]
    control.clock.advance(-2 * 3600)
    with pytest.raises(PriceChanged, match=r"4\.99"):
        await find(control, title["id"], offer)


async def test_free_weekend_lets_everybody_in_until_it_is_over(control: Control, seller: Desk) -> None:
    title = await seller.published(price_minor=999)
    path = f"titles/{title['id']}/offers"
    until = (control.clock.now() + timedelta(days=2)).isoformat()
    await ask(seller.http, "POST", path, 201, kind="free", ends_at=until)
    viewer = control.browser()
    assert (await viewer.post(f"/v1/titles/{title['id']}/play", json={})).status_code == 200
    answer = (await viewer.get(f"/v1/{path}")).json()
    assert (answer["allow"], answer["reason"], shown(answer)) == (True, "free", [("own", None, 999)])
    control.clock.advance(2 * 86400)
    assert (await viewer.post(f"/v1/titles/{title['id']}/play", json={})).status_code == 401


async def test_titles_price_and_the_offer_to_own_it_say_the_same(control: Control, seller: Desk) -> None:
    title = await seller.published()
    path = f"titles/{title['id']}"
    assert (await seller.ask("GET", f"studio/{path}/offers"))["items"] == []
    for amount in (999, 1499):
        assert (await seller.ask("PATCH", path, body={"price_minor": amount}))["price_minor"] == amount
        assert shown((await control.http.get(f"/v1/{path}/offers")).json()) == [("own", None, amount)]
    await ask(seller.http, "POST", f"{path}/offers", 201, kind="rent", hours=24, amount=299)
    assert (await seller.ask("PATCH", path, body={"price_minor": 0}))["price_minor"] == 0
    await tell(control)
    answer = (await control.http.get(f"/v1/{path}/offers")).json()
    assert (shown(answer), answer["reason"]) == ([], "free")
    await ask(seller.http, "POST", f"{path}/offers", 201, kind="rent", hours=24, amount=299)
    assert (await seller.ask("GET", path))["price_minor"] == 299
    await tell(control)
    assert (await control.http.get(f"/v1/{path}/offers")).json()["reason"] == "no-right"


async def test_title_whose_last_offer_is_retired_is_for_nobody_and_not_free(control: Control, seller: Desk) -> None:
    title = await seller.published(price_minor=999)
    offer = (await seller.ask("GET", f"studio/titles/{title['id']}/offers"))["items"][0]
    await ask(seller.http, "DELETE", f"titles/{title['id']}/offers/{offer['id']}", 204)
    answer = (await control.http.get(f"/v1/titles/{title['id']}/offers")).json()
    assert (answer["items"], answer["allow"], answer["reason"]) == ([], False, "no-right")
    await ask(seller.http, "DELETE", f"titles/{title['id']}/offers/{offer['id']}", 404)


async def test_episode_is_sold_with_its_series_and_not_free_by_having_no_price_itself(
    control: Control, seller: Desk
) -> None:
    series = await seller.title(kind="series", name="Seven Rivers")
    season = await seller.title(kind="season", name="One", parent_id=series["id"])
    episode = await seller.published(kind="episode", name="Source", parent_id=season["id"])
    made = await ask(seller.http, "POST", f"titles/{series['id']}/offers", 201, kind="own", amount=2999)
    await seller.ask("POST", f"titles/{series['id']}/publish")
    answer = (await control.http.get(f"/v1/titles/{episode['id']}/offers")).json()
    assert [(item["scope"], item["id"]) for item in answer["items"]] == [(series["id"], made["id"])]
    assert answer["reason"] == "no-right"
    problem = await ask(seller.http, "POST", f"titles/{season['id']}/offers", 422, kind="view", amount=99)
    assert "one view" in problem["detail"]


async def test_price_that_nets_below_zero_by_card_is_warned_of_before_it_is_saved(
    control: Control, seller: Desk
) -> None:
    title = await seller.published()
    path = f"titles/{title['id']}/offers"
    checked = await seller.ask("GET", "studio/card-price?amount=20&currency=USD")
    assert checked["net"] < 0 and "0.20 USD" in checked["warning"]
    refused = await ask(seller.http, "POST", path, 409, kind="view", amount=20)
    assert (refused["code"], refused["details"]["by_card"]["net"]) == ("nets-below-zero", checked["net"])
    assert await control.rows("select 1 from offer") == []
    for method, about, body in (
        ("POST", "titles", {"seller": seller.seller["id"], "name": "Cheap", "price_minor": 20}),
        ("PATCH", f"titles/{title['id']}", {"price_minor": 20}),
    ):
        assert (await seller.ask(method, about, 409, body))["code"] == "nets-below-zero"
    assert await control.rows("select 1 from offer") == [] and (await seller.ask("GET", path))["items"] == []
    changed = await seller.ask("PATCH", f"titles/{title['id']}", 200, {"price_minor": 20, "accept_loss": True})
    assert changed["price_minor"] == 20
    await ask(seller.http, "POST", path, 201, kind="view", amount=20, accept_loss=True)
    assert (await seller.ask("GET", "studio/card-price?amount=1000&currency=USD"))["warning"] == ""


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "own", "amount": -1},
        {"kind": "own", "amount": 1.5},
        {"kind": "own", "amount": "999"},
        {"kind": "own", "amount": 10**13},
        {"kind": "own", "amount": True},
        {"kind": "own", "amount": 0},
        {"kind": "own", "amount": 999, "currency": "XXX"},
        {"kind": "own", "amount": 999, "currency": "usd"},
        {"kind": "own", "amount": 999, "currency": "PAID"},
        {"kind": "own", "amount": 999, "hours": 24},
        {"kind": "rent", "amount": 999},
        {"kind": "rent", "amount": 999, "hours": 25},
        {"kind": "lease", "amount": 999},
        {"kind": "free", "amount": 999},
        {"kind": "own", "amount": 999, "seller": "slr_2"},
        {"kind": "own", "amount": 999, "starts_at": "2026-01-01T00:00:00"},
        {"kind": "own", "amount": 999, "starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"},
        {"kind": "own", "amount": 999, "ends_at": "0001-01-01T00:00:00+14:00"},
    ],
    ids=str,
)
async def test_offer_that_makes_no_sense_is_refused_and_not_kept(
    control: Control, seller: Desk, body: dict[str, Any]
) -> None:
    title = await seller.published()
    problem = await ask(seller.http, "POST", f"titles/{title['id']}/offers", 422, **body)
    assert problem["detail"] and await control.rows("select 1 from offer") == []


async def test_only_who_sells_a_title_offers_it(control: Control, seller: Desk) -> None:
    title = await seller.published(price_minor=999)
    offer = (await seller.ask("GET", f"studio/titles/{title['id']}/offers"))["items"][0]
    rival, viewer = await desk(control, "rival"), control.browser()
    await register(viewer, "vera")
    path = f"titles/{title['id']}/offers"
    for http in (rival.http, viewer):
        await ask(http, "POST", path, 403, kind="own", amount=1)
        await ask(http, "PUT", f"{path}/{offer['id']}", 403, version=1, amount=1, currency="USD")
        await ask(http, "DELETE", f"{path}/{offer['id']}", 403)
        assert (await http.get(f"/v1/studio/{path}")).status_code == 403
    await ask(control.browser(), "POST", path, 401, kind="own", amount=1)
    other = await rival.published(price_minor=999)
    await ask(rival.http, "DELETE", f"titles/{other['id']}/offers/{offer['id']}", 404)
    assert (await find(control, title["id"], offer)).amount == 999
