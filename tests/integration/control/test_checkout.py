"""Buying from the wallet: the price that was seen, once, with a right at the end; or nothing at all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shared.settings import ControlSettings
from tests.support.control import PASSWORD, Control, code_of, control_settings
from tests.support.shop import Shop, open_shop


@pytest.fixture
def settings(tmp_path: Path, database_url: str, redis_url: str) -> ControlSettings:
    """Limits wide enough for many clicks."""
    return control_settings(tmp_path, database_url=database_url, redis_url=redis_url, limits_scale=100.0)


async def test_purchase_moves_the_price_to_everybody_who_has_a_part_in_it_and_gives_the_right(shop: Shop) -> None:
    vera = await shop.viewer(funds=1200)
    assert not await shop.may_watch(vera)
    purchase = await shop.bought(vera)
    assert (purchase["state"], purchase["amount"], purchase["currency"]) == ("paid", 500, "USD")
    seller = shop.seller.seller["id"]
    found = await shop.amounts(f"wallet:{vera.id}", "platform_fee", f"earnings_pending:{seller}", f"earnings:{seller}")
    assert found == [700, 50, 450, 0]
    assert await shop.rights(vera) == ["own"]
    assert await shop.may_watch(vera)
    events = [(event["type"], event["data"].get("purchase")) for event in await shop.control.events("payment.paid")]
    assert events == [("payment.paid", purchase["id"])]
    stamps = await shop.control.rows(
        "select distinct seller, scope, model, legal_entity, fee_bp from posting where seller is not null"
    )
    assert stamps == [{"seller": seller, "scope": shop.title, "model": "tvod", "legal_entity": "usher", "fee_bp": 1000}]
    await shop.audit()


async def test_price_that_changed_is_told_and_nothing_is_booked(shop: Shop) -> None:
    vera = await shop.viewer(funds=1200)
    await shop.seller.ask("PATCH", f"titles/{shop.title}", body={"price_minor": 600})
    refused = await shop.buy(vera)
    assert code_of(refused) == (409, "price-changed")
    now = refused.json()["details"]["offer"]
    assert (now["offer"], now["version"], now["amount"]) == (shop.offer["id"], 2, 600)
    assert await shop.amounts(f"wallet:{vera.id}") == [1200]
    assert (await vera.ask("POST", f"titles/{shop.title}/checkout", 201, shop.order(version=2)))["amount"] == 600


async def test_wallet_that_holds_too_little_buys_nothing(shop: Shop) -> None:
    vera = await shop.viewer(funds=499)
    assert code_of(await shop.buy(vera)) == (409, "insufficient")
    assert await shop.amounts(f"wallet:{vera.id}", "platform_fee") == [499, 0]
    assert await shop.rights(vera) == [] and await shop.control.rows("select id from purchase") == []


@pytest.mark.parametrize("same_key", [True, False], ids=["one key", "a key each"])
async def test_of_fifty_clicks_at_once_one_is_charged(shop: Shop, same_key: bool) -> None:
    vera = await shop.viewer(funds=5000)
    keys = ["click" if same_key else f"click-{n}" for n in range(50)]
    answers = await asyncio.gather(*(shop.buy(vera, key=key) for key in keys))
    codes = {answer.status_code for answer in answers}
    assert codes <= {201, 409}
    refused = {answer.json()["code"] for answer in answers if answer.status_code == 409}
    assert refused <= ({"in-flight"} if same_key else {"already-yours"})
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert await shop.amounts(f"wallet:{vera.id}", "platform_fee") == [4500, 50]
    assert await shop.rights(vera) == ["own"]
    await shop.audit()


async def test_of_sixty_four_who_rent_at_once_with_keys_of_their_own_one_is_charged(shop: Shop) -> None:
    rent = await shop.offers(kind="rent", hours=24, amount=200)
    vera = await shop.viewer(funds=64 * 200)
    body = {"offer": rent["id"], "version": rent["version"]}
    answers = await asyncio.gather(*(vera.send("POST", f"titles/{shop.title}/checkout", body) for _ in range(64)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 63
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"bought-already"}
    assert await shop.amounts(f"wallet:{vera.id}") == [63 * 200]
    assert await shop.rights(vera) == ["rent"]
    # Who rents may still buy for good.
    await shop.bought(vera)
    assert await shop.rights(vera) == ["own", "rent"]


async def test_wallet_is_not_overdrawn_by_purchases_of_several_titles_at_once(shop: Shop) -> None:
    titles = [await shop.seller.published(price_minor=500, name=f"Part {n}") for n in range(6)]
    orders = []
    for title in titles:
        offer = (await shop.seller.ask("GET", f"titles/{title['id']}/offers"))["items"][0]
        orders.append((title["id"], {"offer": offer["id"], "version": offer["version"]}))
    vera = await shop.viewer(funds=1700)
    answers = await asyncio.gather(*(vera.send("POST", f"titles/{id}/checkout", body) for id, body in orders))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 201, 409, 409, 409]
    assert await shop.amounts(f"wallet:{vera.id}") == [200]
    assert await shop.rights(vera) == ["own"] * 3
    await shop.audit()


async def test_gift_is_its_receivers_and_its_giver_pays(shop: Shop) -> None:
    vera, gus = await shop.viewer(funds=500), await shop.viewer("gus")
    purchase = await shop.bought(vera, gift_to="gus")
    assert purchase["is_gift"]
    assert (await shop.rights(vera), await shop.rights(gus)) == ([], ["own"])
    assert await shop.amounts(f"wallet:{vera.id}") == [0]
    assert code_of(await shop.buy(vera, gift_to="nobody")) == (404, "not-found")


async def test_who_is_blocked_buys_nothing_of_this_seller_for_others_either(shop: Shop) -> None:
    vera, _ = await shop.viewer(funds=500), await shop.viewer("gus")
    await shop.seller.ask("PUT", f"sellers/{shop.seller.seller['handle']}/blocked/vera", 204)
    for pay in ("wallet", "sandbox"):
        assert code_of(await shop.buy(vera, pay=pay, gift_to="gus")) == (403, "entitlement-blocked")
    assert await shop.amounts(f"wallet:{vera.id}") == [500] and await shop.control.rows("select id from purchase") == []


async def test_coupon_lowers_what_is_paid_and_one_that_leaves_nothing_gives_the_right_for_nothing(shop: Shop) -> None:
    handle = shop.seller.seller["handle"]
    for code, percent in (("HALF", 50), ("ALL", 100)):
        await shop.owner.ask("POST", f"sellers/{handle}/coupons", 201, {"code": code, "percent": percent})
    vera, otto = await shop.viewer(funds=500), await shop.viewer("otto")
    assert (await shop.bought(vera, coupon="half"))["amount"] == 250
    assert (await shop.bought(otto, coupon="ALL"))["amount"] == 0
    assert await shop.amounts(f"wallet:{vera.id}", f"wallet:{otto.id}", "platform_fee") == [250, 0, 25]
    assert await shop.rights(otto) == ["own"]
    olga = await shop.viewer("olga")
    free = await shop.bought(olga, coupon="ALL", pay="sandbox", country="KP")
    assert (free["state"], free["rail"], free["url"]) == ("paid", "wallet", "") and await shop.may_watch(olga)
    assert await shop.control.rows("select ref from sandbox_payment") == []
    told = [(row["subject"], row["data"]["amount"]) for row in await shop.control.events("payment.paid")]
    assert (free["id"], 0) in told and len(told) == 3


async def test_code_that_brought_the_buyer_is_paid_from_the_platforms_fee(shop: Shop) -> None:
    rita, vera = await shop.viewer("rita"), await shop.viewer(funds=500)
    code = (await rita.ask("PUT", "me/referral"))["code"]
    await shop.bought(vera, referral=code)
    seller = shop.seller.seller["id"]
    found = await shop.amounts(f"wallet:{rita.id}", "platform_fee", f"earnings_pending:{seller}")
    assert found == [10, 40, 450]


async def test_who_cannot_be_sold_to_is_told_why(shop: Shop) -> None:
    vera = await shop.viewer(funds=5000)
    body = shop.order()
    assert code_of(await shop.owner.send("POST", f"titles/{shop.title}/checkout", body)) == (409, "own-title")
    assert code_of(await shop.buy(vera, offer="off_" + "0" * 32)) == (404, "not-found")
    assert code_of(await vera.send("POST", f"titles/ttl_{'0' * 32}/checkout", body)) == (404, "not-found")
    assert code_of(await shop.buy(vera, pay="nobody")) == (422, "no-provider")
    nobody = shop.control.browser()
    assert code_of(await nobody.post(f"/v1/titles/{shop.title}/checkout", json=body)) == (401, "unauthenticated")
    assert code_of(await vera.http.post(f"/v1/titles/{shop.title}/checkout", json=body)) == (
        422,
        "idempotency-key-missing",
    )
    await shop.seller.ask("POST", f"titles/{shop.title}/archive")
    assert (await shop.buy(vera)).status_code in (404, 409)
    assert await shop.amounts(f"wallet:{vera.id}") == [5000]


async def test_purchase_is_seen_by_its_buyer_alone(shop: Shop) -> None:
    vera, otto = await shop.viewer(funds=500), await shop.viewer("otto")
    purchase = await shop.bought(vera)
    assert await vera.ask("GET", f"payments/{purchase['id']}") == purchase
    await otto.ask("GET", f"payments/{purchase['id']}", 404)


async def test_partners_get_their_shares_of_what_the_fee_leaves(control: Control) -> None:
    shop = await open_shop(control, price=999, partners=[("anna", 2500)])
    await shop.bought(await shop.viewer(funds=999))
    sellers = {row["handle"]: row["id"] for row in await control.rows("select id, handle from seller")}
    found = await shop.amounts("platform_fee", *(f"earnings_pending:{sellers[name]}" for name in ("studio", "anna")))
    assert found == [99, 675, 225]
    shown = await shop.seller.ask("GET", f"titles/{shop.title}/partners")
    assert shown == {"items": [{"seller": "anna", "share_bp": 2500}]}


async def test_partners_that_are_wrong_are_refused(shop: Shop) -> None:
    path = f"titles/{shop.title}/partners"
    for items, status in (
        ([{"seller": "studio", "share_bp": 100}], 422),
        ([{"seller": "nobody", "share_bp": 100}], 404),
        ([{"seller": "studio", "share_bp": 10_001}], 422),
    ):
        await shop.seller.ask("PUT", path, status, {"items": items})
    vera = await shop.viewer()
    await vera.ask("PUT", path, 403, {"items": []})
    await vera.ask("GET", path, 403)


async def test_export_of_a_person_holds_what_they_paid_and_have(shop: Shop) -> None:
    vera = await shop.viewer(funds=700)
    bought = await shop.bought(vera)
    found = await vera.ask("GET", "me/export")
    assert [(one["id"], one["amount"], one["state"]) for one in found["purchases"]] == [(bought["id"], 500, "paid")]
    assert [(one["kind"], one["amount"]) for one in found["payments"]] == [("purchase", -500)]
    assert found["wallet"] == [{"currency": "USD", "balance": 200, "held": 0}]


async def test_two_who_brought_each_other_and_buy_at_once_do_not_wait_for_each_other(shop: Shop) -> None:
    vera, otto = await shop.viewer(funds=10_000), await shop.viewer("otto", funds=10_000)
    codes = [(await who.ask("PUT", "me/referral"))["code"] for who in (otto, vera)]
    for _ in range(6):
        title = (await shop.seller.published(price_minor=500))["id"]
        offer = (await shop.seller.ask("GET", f"titles/{title}/offers"))["items"][0]
        orders = [{"offer": offer["id"], "version": offer["version"], "referral": code} for code in codes]
        answers = await asyncio.gather(
            *(
                who.http.post(f"/v1/titles/{title}/checkout", json=order, headers={"Idempotency-Key": title})
                for who, order in zip((vera, otto), orders, strict=True)
            )
        )
        assert [answer.status_code for answer in answers] == [201, 201]
    await shop.audit()


async def test_account_with_money_is_not_deleted_before_it_is_spent_or_given_away(shop: Shop) -> None:
    vera, otto = await shop.viewer(funds=599), await shop.viewer("otto")
    refused = await vera.http.request("DELETE", "/v1/me", json={"password": PASSWORD})
    assert code_of(refused) == (409, "money-left") and "5.99 USD" in refused.json()["detail"]
    await vera.ask("POST", "wallet/transfers", 201, {"to": "otto", "amount": 500, "currency": "USD"})
    # What is left is less than anybody may give away.
    assert (await vera.http.request("DELETE", "/v1/me", json={"password": PASSWORD})).status_code == 204
    assert await shop.amounts(f"wallet:{otto.id}", f"wallet:{vera.id}") == [500, 99]
