"""Referral codes: one a person, the same for good, and paid for to nobody who would pay themselves."""

from __future__ import annotations

import asyncio

from gateway.control.referrals import actions as referrals
from tests.support.control import Control, register
from tests.support.shop import Viewer, open_shop
from tests.support.titles import desk


async def who(control: Control, code: str, buyer: str, *sellers: str, viewer: str = "") -> str | None:
    async with control.wiring["begin"]() as unit:
        found = [await unit.entitlements.principal(one) for one in (buyer, viewer or buyer)]
        assert found[0] is not None and found[1] is not None
        return await referrals.referrer(
            code,
            buyer=found[0],
            viewer=found[1],
            sellers=sellers,
            referrals=unit.referrals,
            entitlements=unit.entitlements,
        )


async def test_code_is_made_once_and_stays(control: Control) -> None:
    http = control.browser()
    await register(http, "vera")
    answers = await asyncio.gather(*(http.put("/v1/me/referral") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["code"] for answer in answers}) == 1
    assert answers[0].json()["bp"] == control.settings.referral_bp
    assert (await control.browser().put("/v1/me/referral")).status_code == 401


async def test_code_that_is_taken_is_drawn_again(control: Control) -> None:
    one, two = control.browser(), control.browser("10.7.0.2")
    first, second = await register(one, "vera"), await register(two, "otto")
    drawn = iter(["samesame", "samesame", "different"])
    found = []
    for person in (first, second):
        async with control.wiring["begin"]() as unit:
            by = await unit.entitlements.principal(person["id"])
            assert by is not None
            found.append(
                await referrals.mine(by, referrals=unit.referrals, clock=control.clock, draw=lambda _: next(drawn))
            )
    assert found == ["samesame", "different"]


async def test_referrer_is_somebody_else_who_does_not_work_for_the_seller(control: Control) -> None:
    seller = await desk(control)
    one, two = control.browser(), control.browser("10.7.0.2")
    vera, otto = await register(one, "vera"), await register(two, "otto")
    code = (await one.put("/v1/me/referral")).json()["code"]
    house = (await seller.http.put("/v1/me/referral")).json()["code"]
    assert await who(control, code.upper(), otto["id"], seller.seller["id"]) == vera["id"]
    assert await who(control, code, vera["id"], seller.seller["id"]) is None
    assert await who(control, house, otto["id"], seller.seller["id"]) is None
    for wrong in ("", "nobodys1", "'; drop table referral --", "ß"):
        assert await who(control, wrong, otto["id"], seller.seller["id"]) is None


async def test_code_of_who_works_for_a_partner_or_gets_the_gift_is_paid_for_to_nobody(control: Control) -> None:
    shop = await open_shop(control)
    anna, vera, otto = await desk(control, "anna"), await shop.viewer(funds=1500), await shop.viewer("otto")
    items = {"items": [{"seller": "anna", "share_bp": 5000}]}
    await shop.owner.ask("PUT", f"titles/{shop.title}/partners", body=items)
    members, rita = (Viewer(anna.http, anna.me), otto), await shop.viewer("rita")
    of_partner, of_receiver = [(await one.ask("PUT", "me/referral"))["code"] for one in members]
    await shop.bought(vera, gift_to="otto", referral=of_receiver)
    await shop.bought(vera, gift_to="rita", referral=of_partner)
    assert await shop.amounts(f"wallet:{otto.id}", f"wallet:{anna.me['id']}", "platform_fee") == [0, 0, 100]
    await shop.bought(vera, referral=of_receiver)
    assert (await shop.amounts(f"wallet:{otto.id}"))[0] > 0
    assert await shop.rights(rita) == ["own"]
    await shop.audit()
