"""Buying by Stripe end to end but for its page: whatever is lost or breaks on the way, the books end the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.control.checkout import actions as checkout
from gateway.control.checkout.actions.refunds import LAST_S
from shared.clock import ManualClock
from shared.settings import ControlSettings
from tests.support.shop import Shop, Viewer, open_shop
from tests.support.till import Till, open_till
from tests.support.titles import desk

ACCOUNTS = ("cash:stripe", "rail_fee:stripe", "platform_fee", "refunds_clearing")
#: Stripe tries to send a webhook for so long.
LATE_S = 3 * 86_400


class Counter:
    """A shop that sells by Stripe."""

    def __init__(self, till: Till, shop: Shop) -> None:
        self.till, self.shop = till, shop
        self.settle = checkout.booking(shop.wired)
        self.admin: Viewer | None = None

    async def begun(self, viewer: Viewer) -> tuple[str, str]:
        """A purchase that waits for its payer: its id, and its name at Stripe."""
        purchase = await self.shop.bought(viewer, pay="stripe")
        rows = await self.till.control.rows("select provider_ref from purchase where id = $1", purchase["id"])
        return purchase["id"], rows[0]["provider_ref"]

    async def sold(self, name: str = "vera") -> tuple[str, str]:
        """A purchase that its viewer paid, and the payment's ref."""
        id, ref = await self.begun(await self.shop.viewer(name))
        await self.till.hands.pay(ref, "approve")
        await self.hear()
        return id, ref

    async def work(self, times: int = 1000) -> None:
        """Handle so many events."""
        await self.till.work(times, settle=self.settle)

    async def hear(self) -> None:
        """Send what Stripe has to tell, handle it, and let Stripe be asked for what follows."""
        for one in await self.till.hands.webhooks():
            assert await self.till.send(one) == 204
        await self.work()
        await checkout.ask_reversals(shop=self.shop.wired)

    async def account(self) -> Any:
        """An account of the seller's own, to which their part goes at once: as the fake keeps it."""
        seller, hands = self.shop.seller.seller["id"], self.till.hands
        account = await hands.provider.open_account(seller, "US")
        hands.server.onboard(account)
        add = "insert into payee (seller, provider, account, can_charge) values ($1, 'stripe', $2, true)"
        await self.till.control.rows(add, seller, account)
        return hands.server.of("accounts", account)

    async def seller_has(self) -> list[int]:
        """What lies with Stripe, what is owed and available here, and the platform's fee."""
        seller = self.shop.seller.seller["id"]
        accounts = (f"external:stripe:{seller}", f"receivable:{seller}", f"earnings:{seller}", "platform_fee")
        return await self.shop.amounts(*accounts)

    async def give_back(self, purchase: str, **about: Any) -> None:
        """An admin gives a purchase back."""
        self.admin = self.admin or await self.shop.viewer("ada", role="admin")
        await self.admin.ask("POST", f"payments/{purchase}/refunds", 201, {"reason": "asked for", **about})

    async def balances(self) -> list[int]:
        """What all accounts hold that a sale changes."""
        seller = self.shop.seller.seller["id"]
        return await self.shop.amounts(*ACCOUNTS, f"earnings_pending:{seller}", f"receivable:{seller}")

    async def postings(self, purchase: str) -> list[dict[str, Any]]:
        """All that was booked for a purchase, but for its name at Stripe."""
        query = (
            "select t.kind, a.code, p.asset, p.amount, p.seller, p.scope, p.model, p.legal_entity, p.fee_bp "
            "from purchase u join posting p on p.provider_ref = u.provider_ref "
            "join txn t on t.id = p.txn join ledger_account a on a.id = p.account where u.id = $1 order by p.id"
        )
        return await self.till.control.rows(query, purchase)


@pytest.fixture
async def counter(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Counter]:
    """A title at 5.00 and Stripe."""
    async with open_till(settings, clock) as till:
        yield Counter(till, await open_shop(till.control))


async def test_payment_whose_answer_was_lost_is_begun_once_and_paid_once(counter: Counter) -> None:
    viewer, hands = await counter.shop.viewer(), counter.till.hands
    hands.server.fail("500 after", "500")
    answer = await counter.shop.buy(viewer, pay="stripe", key="click-1")
    assert answer.status_code == 201
    counter.till.control.clock.advance(60)
    again = await counter.shop.buy(viewer, pay="stripe", key="click-2")
    rows = await counter.till.control.rows("select id, provider_ref, state from purchase")
    assert len(rows) == 1 and again.json()["id"] == rows[0]["id"] and again.json()["url"]
    await hands.pay(rows[0]["provider_ref"], "approve")
    for one in await hands.webhooks():
        await counter.till.send(one)
    await counter.work()
    assert await counter.shop.rights(viewer) == ["own"]
    assert len(await counter.till.control.rows("select id from txn")) == 1
    await counter.shop.audit()


@pytest.mark.parametrize("is_looked_after", [False, True], ids=["not looked after", "looked after"])
async def test_purchase_whose_webhooks_come_three_days_late_is_booked_as_a_punctual_one(
    counter: Counter, is_looked_after: bool
) -> None:
    shop, hands = counter.shop, counter.till.hands
    otto = await shop.viewer("otto")
    punctual, _ = await counter.sold()
    at_once = await counter.balances()
    late, ref = await counter.begun(otto)
    await hands.pay(ref, "approve")
    shop.control.clock.advance(LATE_S)
    for event in hands.server.events:
        event["created"] -= LATE_S
    if is_looked_after:
        await checkout.look_after(shop=shop.wired)
    state = (await otto.ask("GET", f"payments/{late}"))["state"]
    assert (state, await shop.rights(otto)) == (("paid", ["own"]) if is_looked_after else ("new", []))
    await counter.hear()
    await checkout.look_after(shop=shop.wired)
    assert (await otto.ask("GET", f"payments/{late}"))["state"] == "paid"
    assert await shop.rights(otto) == ["own"] and await shop.may_watch(otto)
    assert await counter.balances() == [2 * amount for amount in at_once]
    assert await counter.postings(late) == await counter.postings(punctual) != []
    await shop.audit()


@pytest.mark.parametrize("is_empty", [False, True], ids=["there", "paid out"])
async def test_dispute_takes_the_sellers_part_back_from_their_account_or_lets_them_owe_it(
    counter: Counter, is_empty: bool
) -> None:
    shop, hands = counter.shop, counter.till.hands
    purse, viewer = await counter.account(), await shop.viewer()
    id, ref = await counter.begun(viewer)

    async def hear() -> list[int]:
        await counter.hear()
        return await counter.seller_has()

    await hands.pay(ref, "approve")
    assert (await hear(), purse["balance"]) == ([450, 0, 0, 50], 450)
    if is_empty:
        purse["balance"] = 0
    await hands.dispute(ref)
    assert await hear() == ([450, -450, 0, 0] if is_empty else [0, 0, 0, 0])
    assert purse["balance"] == 0 and len(hands.server.folders["reversals"]) == (0 if is_empty else 1)
    assert await shop.rights(viewer) == [] and not await shop.may_watch(viewer)
    await hands.dispute(ref, won=True)
    assert await hear() == ([450, 0, 0, 50] if is_empty else [0, 0, 450, 50])
    assert (await viewer.ask("GET", f"payments/{id}"))["state"] == "paid"
    # What is given back then is taken where it lies, and once: the seller may have filled their account again.
    purse["balance"] = 450
    await counter.give_back(id)
    assert await checkout.ask_refunds(shop=shop.wired) == 1
    assert (await hear(), purse["balance"]) == ([0, 0, 0, 0], 0 if is_empty else 450)
    assert (await shop.amounts("refunds_clearing"), await shop.rights(viewer)) == ([0], [])
    await shop.audit()


async def test_refund_of_what_the_sellers_account_does_not_hold_is_made_and_owed_and_paid_by_what_they_earn(
    counter: Counter,
) -> None:
    shop, hands = counter.shop, counter.till.hands
    hands.server.lends, purse = False, await counter.account()
    id, _ = await counter.sold()
    await counter.give_back(id, amount=100)
    assert await checkout.ask_refunds(shop=shop.wired) == 1
    assert (await counter.seller_has(), purse["balance"]) == ([360, 0, 0, 40], 360)
    purse["balance"] = 0
    await counter.give_back(id, amount=200)
    assert await checkout.ask_refunds(shop=shop.wired) == 1
    assert await counter.seller_has() == [360, -180, 0, 20]
    # From then on what is taken there is what the books take there, and no more.
    purse["balance"] = 360
    await counter.give_back(id)
    assert await checkout.ask_refunds(shop=shop.wired) == 1
    await counter.hear()
    assert (await counter.seller_has(), purse["balance"]) == ([180, -180, 0, 0], 180)
    assert await shop.amounts("refunds_clearing", "cash:stripe") == [0, 45]
    assert [row["state"] for row in await shop.control.rows("select state from refund")] == ["done"] * 3
    await shop.audit()


async def test_refund_that_the_platforms_own_balance_does_not_hold_waits_until_it_does(counter: Counter) -> None:
    shop, hands = counter.shop, counter.till.hands
    id, _ = await counter.sold()
    await counter.give_back(id)
    hands.server.funds = 0
    assert await checkout.ask_refunds(shop=shop.wired) == 0
    assert await shop.control.rows("select state, tries from refund") == [{"state": "asked", "tries": 1}]
    hands.server.funds = None
    hands.server.kept.clear()
    shop.control.clock.advance(LAST_S)
    assert await checkout.ask_refunds(shop=shop.wired) == 1
    assert await shop.amounts("refunds_clearing", "cash:stripe") == [0, 45]
    await shop.audit()


async def test_money_that_was_not_wanted_comes_back_from_the_sellers_account_or_is_owed(counter: Counter) -> None:
    shop, hands = counter.shop, counter.till.hands
    hands.server.lends, purse = False, await counter.account()
    for name, is_empty in (("vera", False), ("otto", True)):
        viewer = await shop.viewer(name, funds=500)
        _, ref = await counter.begun(viewer)
        await shop.bought(viewer)
        await hands.pay(ref, "approve")
        await counter.hear()
        purse["balance"] = 0 if is_empty else 450
        assert await checkout.ask_refunds(shop=shop.wired) == 1
        await counter.hear()
        assert (await counter.seller_has())[:2] == ([450, -450] if is_empty else [0, 0])
        assert purse["balance"] == 0
    assert await shop.amounts("refunds_clearing") == [0]
    await shop.audit()


async def test_money_that_was_not_wanted_is_owed_as_agreed_and_no_more_than_is_given_back(counter: Counter) -> None:
    shop, hands = counter.shop, counter.till.hands
    hands.server.lends, purse = False, await counter.account()
    viewer = await shop.viewer(funds=500)
    _, ref = await counter.begun(viewer)
    mate = (await desk(shop.control, "mate")).seller
    shares = {"items": [{"seller": mate["handle"], "share_bp": 5000}]}
    await shop.owner.ask("PUT", f"titles/{shop.title}/partners", body=shares)
    await shop.bought(viewer)
    await hands.pay(ref, "approve")
    await hands.provider.refund(ref, 100, "from the dashboard", of_seller=0)
    await counter.hear()
    purse["balance"] = 0
    assert await checkout.ask_refunds(shop=shop.wired) == 1
    assert (await counter.seller_has())[:2] == [360, -360]
    assert await shop.amounts("refunds_clearing") == [0]
    await shop.audit()
