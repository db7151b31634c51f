"""What a seller's own account at Stripe gives back: asked for after it is booked, once, whatever else happens."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.control.checkout import actions as checkout
from gateway.control.checkout.store import PurchaseStore
from gateway.control.payments import actions as payments
from gateway.control.payments.providers.base import Charge
from shared.errors import Unavailable
from tests.integration.control.test_stripe_books import Counter, counter
from tests.support.postgres import met
from tests.support.titles import desk

__all__ = ["counter"]


@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
async def test_second_dispute_takes_the_sellers_part_back_again_whatever_was_owed_before_or_after_the_first(
    counter: Counter, is_late: bool
) -> None:
    shop, hands = counter.shop, counter.till.hands
    hands.server.lends, purse = False, await counter.account()
    id, ref = await counter.sold()
    await counter.give_back(id, amount=150)

    async def owe() -> None:
        held, purse["balance"] = purse["balance"], 0
        assert await checkout.ask_refunds(shop=shop.wired) == 1
        purse["balance"] = held

    async def dispute() -> str:
        made = hands.server.dispute(ref)
        hands.server.of("disputes", made)["amount"] = 150
        await counter.hear()
        return made

    if not is_late:
        await owe()
    first = await dispute()
    if is_late:
        await owe()
    hands.server.close_dispute(first, won=True)
    await counter.hear()
    assert (await counter.seller_has(), purse["balance"]) == ([315, 0, 0, 35], 315)
    await dispute()
    assert (await counter.seller_has(), purse["balance"]) == ([180, 0, 0, 20], 180)
    assert len(hands.server.folders["reversals"]) == 2
    await shop.audit()


@pytest.mark.parametrize("is_won", [False, True], ids=["settled", "won"])
async def test_part_that_was_taken_back_before_the_books_broke_off_is_taken_once(
    counter: Counter, is_won: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, hands, control = counter.shop, counter.till.hands, counter.till.control
    seller, mate = shop.seller.seller["id"], (await desk(control, "mate")).seller
    shares = {"items": [{"seller": mate["handle"], "share_bp": 1000}]}
    await shop.owner.ask("PUT", f"titles/{shop.title}/partners", body=shares)
    purse = await counter.account()
    (_, ref), _ = [await counter.sold(name) for name in ("vera", "otto")]
    await hands.dispute(ref)
    close, left = PurchaseStore.close_reversal, ["once"]

    async def broken(*about: Any) -> None:
        if left:
            left.pop()
            raise Unavailable("The database went away.")
        await close(*about)

    monkeypatch.setattr(PurchaseStore, "close_reversal", broken)
    await counter.hear()
    reversals = hands.server.folders["reversals"]
    assert (len(reversals), left, purse["balance"]) == (1, [], 405)
    assert await control.rows("select state, tries from reversal") == [{"state": "asked", "tries": 1}]
    # Meanwhile another movement of the same purchase.
    if is_won:
        await hands.dispute(ref, won=True)
    control.clock.advance(7 * 86400)
    await checkout.settle(shop=shop.wired)
    await counter.hear()
    assert len(reversals) == 1 and purse["balance"] == 405
    accounts = (f"external:stripe:{seller}", f"receivable:{seller}", f"earnings:{seller}")
    assert await shop.amounts(*accounts) == [405, 0, 405 if is_won else 0]
    assert [row["state"] for row in await control.rows("select state from reversal")] == ["done"]
    await shop.audit()


@pytest.mark.parametrize("is_empty", [False, True], ids=["there", "paid out"])
async def test_dispute_that_is_won_before_stripe_is_asked_leaves_the_seller_their_part_once(
    counter: Counter, is_empty: bool
) -> None:
    shop, hands, till = counter.shop, counter.till.hands, counter.till
    purse = await counter.account()
    id, ref = await counter.sold()
    for won in (None, True):
        await hands.dispute(ref, won=won)
        for one in await hands.webhooks():
            assert await till.send(one) == 204
        await counter.work()
    purse["balance"] = 0 if is_empty else 450
    assert sorted(await asyncio.gather(*(checkout.ask_reversals(shop=shop.wired) for _ in range(3)))) == [0, 0, 1]
    assert await counter.seller_has() == ([450, 0, 0, 50] if is_empty else [0, 0, 450, 50])
    assert (purse["balance"], len(hands.server.folders["reversals"])) == (0, 0 if is_empty else 1)
    # What is given back then is taken where it lies.
    purse["balance"] = 450 if is_empty else 0
    await counter.give_back(id)
    assert await checkout.ask_refunds(shop=shop.wired) == 1
    await counter.hear()
    assert (await counter.seller_has(), purse["balance"]) == ([0, 0, 0, 0], 0)
    await shop.audit()


async def test_payment_that_was_looked_at_just_before_its_part_was_taken_back_has_it_taken_once(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, hands, purse = counter.shop, counter.till.hands, await counter.account()
    _, ref = await counter.sold()
    await hands.dispute(ref)
    for one in await hands.webhooks():
        assert await counter.till.send(one) == 204
    await counter.work()
    find, is_read, go_on = hands.provider.find, asyncio.Event(), asyncio.Event()

    async def slow(ref: str) -> Charge:
        charge = await find(ref)
        is_read.set()
        await go_on.wait()
        return charge

    async def look() -> None:
        ports: Any = {"provider": hands.provider, "clock": shop.control.clock, "settle": [counter.settle]}
        async with shop.wired.begin() as unit:
            await payments.look(ref, unit=unit, **ports)

    monkeypatch.setattr(hands.provider, "find", slow)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(look())
        await is_read.wait()
        asked = group.create_task(checkout.ask_reversals(shop=shop.wired))
        await met(counter.till.control.rows, asked)
        go_on.set()
    assert asked.result() == 1
    assert len(await counter.till.control.rows("select id from reversal")) == 1
    assert (await counter.seller_has(), purse["balance"]) == ([0, 0, 0, 0], 0)


@pytest.mark.parametrize("is_reversed", [False, True], ids=["as it is", "with what was passed on"])
async def test_refund_by_somebody_at_stripe_costs_the_seller_their_part_however_it_was_made(
    counter: Counter, is_reversed: bool
) -> None:
    shop, hands, purse = counter.shop, counter.till.hands, await counter.account()
    _, ref = await counter.sold()
    await hands.provider.refund(ref, 200, "by hand", of_seller=None if is_reversed else 0)
    assert purse["balance"] == (270 if is_reversed else 450)
    await counter.hear()
    assert (await counter.seller_has(), purse["balance"]) == ([270, 0, 0, 30], 270)
    assert len(hands.server.folders["reversals"]) == (0 if is_reversed else 1)
    await shop.audit()


@pytest.mark.parametrize("is_heard", [True, False], ids=["told", "not told"])
async def test_parts_of_refunds_that_are_on_their_way_are_taken_once_and_of_a_foreign_one_beside_them_too(
    counter: Counter, is_heard: bool
) -> None:
    shop, hands, purse = counter.shop, counter.till.hands, await counter.account()
    id, ref = await counter.sold()
    for _ in range(2):
        await counter.give_back(id, amount=100)
    await hands.provider.refund(ref, 100, "by hand", of_seller=0)
    await counter.hear()
    assert (purse["balance"], len(hands.server.folders["reversals"])) == (450, 0)
    assert await checkout.ask_refunds(shop=shop.wired) == 2
    if is_heard:
        await counter.hear()
    else:
        await checkout.look_after(shop=shop.wired)
        await checkout.ask_reversals(shop=shop.wired)
    assert (await counter.seller_has(), purse["balance"]) == ([180, 0, 0, 20], 180)
    await shop.audit()
