"""Coupons: shown, made by sellers alone, and used as often as they may be, however many come at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from gateway.control.coupons import actions as coupons
from gateway.control.offers import actions as offers
from gateway.control.offers.model import Price, price
from shared.errors import UsherError
from tests.support.control import Control, register
from tests.support.market import ask, fund
from tests.support.titles import Desk, desk


class Shop:
    """A seller with a title for 9.99, and people who bring codes."""

    def __init__(self, control: Control, seller: Desk, title: str) -> None:
        self.control, self.seller, self.title = control, seller, title

    async def make(self, status: int = 201, **about: Any) -> Any:
        body = {"code": "SPRING", **about}
        return await ask(self.seller.http, "POST", "sellers/studio/coupons", status, **body)

    async def used(self) -> int:
        items = (await self.seller.ask("GET", "sellers/studio/coupons"))["items"]
        return int(items[0]["used"])

    async def shown(self, code: str, http: httpx2.AsyncClient | None = None, title: str = "") -> tuple[int, int, str]:
        """Price, what was taken off, and why nothing was."""
        path = f"/v1/titles/{title or self.title}/offers?coupon={code}"
        found = (await (http or self.control.http).get(path)).json()
        paid = found["items"][0]["price"]
        return paid["amount"], paid["discount"], found["coupon_refused"]

    async def buy(self, principal: str, purchase: str, code: str = "SPRING") -> Price:
        """Price and claim as a checkout does, in one transaction."""
        async with self.control.wiring["begin"]() as unit:
            buyer = await unit.entitlements.principal(principal)
            assert buyer is not None
            offer = (await unit.offers.of_scope(self.title))[0]
            coupon = await offers.coupon_for(code, offer, coupons=unit.coupons)
            assert coupon is not None
            paid = price(offer, coupon, self.control.clock)
            await coupons.claim(
                coupon, offer, by=buyer, purchase=purchase, coupons=unit.coupons, clock=self.control.clock
            )
            return paid

    async def rush(self, people: list[str]) -> tuple[int, list[str]]:
        """All of them at once: how many got it, and what the others were told."""
        found = await asyncio.gather(
            *(self.buy(one, f"pur_{number}") for number, one in enumerate(people)), return_exceptions=True
        )
        assert all(isinstance(one, (Price, UsherError)) for one in found), found
        return sum(isinstance(one, Price) for one in found), sorted(
            {one.code for one in found if isinstance(one, UsherError)}
        )


@pytest.fixture
async def shop(control: Control) -> Shop:
    """A shop that is open."""
    seller = await desk(control)
    return Shop(control, seller, str((await seller.published(price_minor=999))["id"]))


async def people(control: Control, count: int) -> list[str]:
    rows = await control.rows(
        "insert into principal (id, kind, sub) select 'usr_' || n, 'registered', 'sub_' || n "
        "from generate_series(1, $1) n returning id",
        count,
    )
    return [str(row["id"]) for row in rows]


async def test_viewer_sees_the_price_with_their_coupon(shop: Shop) -> None:
    await shop.make(percent=25)
    assert await shop.shown("spring") == (750, 249, "")
    assert await shop.shown("") == (999, 0, "")
    assert await shop.shown("autumn") == (999, 0, "There is no such coupon for this title.")
    await shop.make(code="FIVER", amount=500, currency="USD")
    assert await shop.shown("FIVER") == (499, 500, "")
    await shop.make(code="EURO", amount=500, currency="EUR")
    assert (await shop.shown("EURO"))[1:] == (0, "This coupon is for prices in EUR.")


async def test_coupon_of_one_title_or_for_a_time_is_good_there_and_then(shop: Shop) -> None:
    other = await shop.seller.published(price_minor=500, name="Another")
    now = shop.control.clock.now()
    await shop.make(percent=10, title=other["id"])
    assert (await shop.shown("SPRING"))[1] == 0
    hours = [(now + timedelta(hours=hour)).isoformat() for hour in (1, 2)]
    await shop.make(code="LATER", percent=10, starts_at=hours[0], ends_at=hours[1])
    seen = []
    for _ in range(3):
        seen.append((await shop.shown("LATER"))[1:])
        shop.control.clock.advance(3600)
    assert seen == [(0, "This coupon is not good yet."), (99, ""), (0, "This coupon is over.")]


async def test_coupon_lowers_no_price_that_is_shown_while_it_is_used_up(control: Control, shop: Shop) -> None:
    await shop.make(percent=25, uses_max=1)
    await shop.buy((await people(control, 1))[0], "pur_1")
    assert await shop.shown("SPRING") == (999, 0, "This coupon is used up.")
    async with control.wiring["begin"]() as unit:
        await coupons.release("pur_1", coupons=unit.coupons)
    assert await shop.shown("SPRING") == (750, 249, "")


async def test_who_used_a_coupon_as_often_as_they_may_is_shown_the_price_without_it(
    control: Control, shop: Shop
) -> None:
    await shop.make(percent=25, per_viewer=2)
    http = control.browser("10.3.0.1")
    vera, seen = (await register(http, "vera"))["id"], []
    for number in range(3):
        seen.append(await shop.shown("SPRING", http))
        if number < 2:
            await shop.buy(vera, f"pur_{number}")
    assert seen == [(750, 249, ""), (750, 249, ""), (999, 0, "You have used this coupon already.")]
    assert await shop.shown("SPRING") == (750, 249, "")


@pytest.mark.parametrize(
    ("limit", "words"), [({"uses_max": 1}, "This coupon is used up."), ({}, "You have used this coupon already.")]
)
async def test_who_has_yet_to_pay_with_a_coupon_is_shown_its_price_for_that_and_for_nothing_else(
    control: Control, shop: Shop, limit: dict[str, int], words: str
) -> None:
    other = str((await shop.seller.published(price_minor=500, name="Another"))["id"])
    await shop.make(percent=20, **limit)
    http = control.browser("10.3.0.1")
    vera = (await register(http, "vera"))["id"]
    await fund(control, vera, 5000)

    async def buy(title: str, status: int, pay: str) -> Any:
        offer = (await http.get(f"/v1/titles/{title}/offers")).json()["items"][0]
        order = {"offer": offer["id"], "version": offer["version"], "coupon": "SPRING", "pay": pay}
        return await ask(http, "POST", f"titles/{title}/checkout", status, **order)

    begun = await buy(shop.title, 201, "sandbox")
    assert (begun["state"], begun["amount"]) == ("new", 800)
    assert await shop.shown("SPRING", http) == (800, 199, "")
    assert await shop.shown("SPRING") == ((999, 0, words) if limit else (800, 199, ""))
    assert await shop.shown("SPRING", http, other) == (500, 0, words)
    assert (await buy(other, 409, "wallet"))["detail"] == words
    assert (await buy(shop.title, 201, "wallet"))["amount"] == 800
    assert await shop.shown("SPRING", http) == (999, 0, words)


async def test_coupon_is_used_as_often_as_it_may_be_when_many_come_at_once(control: Control, shop: Shop) -> None:
    await shop.make(percent=50, uses_max=5)
    assert await shop.rush(await people(control, 20)) == (5, ["coupon-used-up"])
    assert await shop.used() == 5 == len(await control.rows("select 1 from coupon_use"))


async def test_one_viewer_uses_a_coupon_as_often_as_they_may_when_they_click_often(
    control: Control, shop: Shop
) -> None:
    await shop.make(percent=50, per_viewer=2)
    one = (await people(control, 1))[0]
    assert await shop.rush([one] * 12) == (2, ["coupon-used"])
    assert await shop.used() == 2


async def test_purchase_that_came_to_nothing_gives_its_coupon_back_once(control: Control, shop: Shop) -> None:
    await shop.make(percent=50, uses_max=1)
    one, two = await people(control, 2)
    assert (await shop.buy(one, "pur_1")).amount == 500
    for released in (True, False):
        async with control.wiring["begin"]() as unit:
            assert await coupons.release("pur_1", coupons=unit.coupons) is released
    assert await shop.used() == 0
    await shop.buy(two, "pur_2")
    assert await shop.used() == 1


async def test_claim_that_is_undone_counts_nothing(control: Control, shop: Shop) -> None:
    await shop.make(percent=50, uses_max=1)
    one = (await people(control, 1))[0]
    with pytest.raises(RuntimeError):
        async with control.wiring["begin"]() as unit:
            buyer, offer = await unit.entitlements.principal(one), (await unit.offers.of_scope(shop.title))[0]
            coupon = await offers.coupon_for("SPRING", offer, coupons=unit.coupons)
            assert buyer is not None and coupon is not None
            await coupons.claim(coupon, offer, by=buyer, purchase="pur_1", coupons=unit.coupons, clock=control.clock)
            raise RuntimeError("the card was declined")
    assert await shop.used() == 0


async def test_retired_coupon_is_used_by_nobody(control: Control, shop: Shop) -> None:
    await shop.make(percent=50)
    await ask(shop.seller.http, "DELETE", "sellers/studio/coupons/spring", 204)
    await ask(shop.seller.http, "DELETE", "sellers/studio/coupons/spring", 404)
    assert (await shop.shown("SPRING"))[1:] == (0, "This coupon is over.")
    assert await shop.rush(await people(control, 2)) == (0, ["coupon-over"])
    assert (await shop.make(409, percent=10))["code"] == "coupon-taken"


@pytest.mark.parametrize(
    "body",
    [
        {"percent": 0},
        {"percent": 101},
        {"percent": 10.5},
        {"amount": 0, "currency": "USD"},
        {"amount": 5},
        {"amount": 5, "currency": "DOLLAR"},
        {"amount": 5, "currency": "PAID"},
        {"percent": 10, "amount": 5, "currency": "USD"},
        {"percent": 10, "code": "'; drop table coupon --"},
        {"percent": 10, "code": "<b>x</b>"},
        {"percent": 10, "code": "AB\n"},
        {"percent": 10, "uses_max": 0},
        {"percent": 10, "uses_max": -1},
        {"percent": 10, "per_viewer": 0},
        {},
    ],
    ids=str,
)
async def test_coupon_that_makes_no_sense_is_refused(shop: Shop, body: dict[str, Any]) -> None:
    await shop.make(422, **body)
    assert (await shop.seller.ask("GET", "sellers/studio/coupons"))["items"] == []


async def test_only_who_sells_makes_sees_and_retires_coupons(control: Control, shop: Shop) -> None:
    await shop.make(percent=10)
    rival, viewer = await desk(control, "rival"), control.browser()
    await register(viewer, "vera")
    for http in (rival.http, viewer):
        await ask(http, "POST", "sellers/studio/coupons", 403, code="MINE", percent=100)
        await ask(http, "DELETE", "sellers/studio/coupons/SPRING", 403)
        assert (await http.get("/v1/sellers/studio/coupons")).status_code == 403
    await ask(rival.http, "POST", "sellers/rival/coupons", 422, code="MINE", percent=100, title=shop.title)


async def test_record_holds_all_of_a_new_coupon_and_no_event_its_code(control: Control, shop: Shop) -> None:
    ends_at = (control.clock.now() + timedelta(days=1)).isoformat()
    asked: dict[str, Any] = {"code": "Otto-5", "amount": 500, "currency": "USD", "title": shop.title, "uses_max": 3}
    made = await shop.make(**asked, ends_at=ends_at)
    rows = await control.rows("select object, after from audit where action = 'coupon:create'")
    said = {**asked, "per_viewer": 1, "ends_at": made["ends_at"]}
    assert rows == [{"object": made["id"], "after": said}]
    del said["code"]
    told = [event["data"] for event in await control.events("admin.action") if event["subject"] == made["id"]]
    assert [(data["action"], data["after"]) for data in told] == [("coupon:create", said)]
