"""Buying by a provider: what it says is booked once, in any order; what comes late or twice is given back."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from gateway.control.checkout import actions as checkout
from gateway.control.checkout.model import OPEN_FOR
from gateway.control.payments.providers.base import Charge, Order, Started
from gateway.control.worker import process
from tests.support.control import Control, code_of
from tests.support.shop import Shop, Viewer, open_shop, ref_of

#: What the sandbox keeps of 5.00: 2.9 % and 0.30.
FEE = 45


async def states(shop: Shop) -> list[str]:
    """Of all purchases, in the order of the alphabet."""
    return [row["state"] for row in await shop.control.rows("select state from purchase order by state")]


async def failed(shop: Shop) -> list[tuple[str, str]]:
    """Purchases that were told to have failed, and the state each was in."""
    return [(event["subject"], event["data"]["state"]) for event in await shop.control.events("payment.failed")]


async def test_card_that_is_approved_buys_and_what_the_provider_keeps_is_booked(shop: Shop) -> None:
    vera = await shop.viewer()
    begun = await shop.bought(vera, pay="sandbox")
    assert begun["state"] == "new" and begun["url"] and await shop.rights(vera) == []
    await shop.hands.pay(ref_of(begun), "approve")
    await shop.hear()
    paid = await vera.ask("GET", f"payments/{begun['id']}")
    assert (paid["state"], paid["url"]) == ("paid", "")
    seller = shop.seller.seller["id"]
    found = await shop.amounts("cash:sandbox", "rail_fee:sandbox", "platform_fee", f"earnings_pending:{seller}")
    assert found == [-500 + FEE, -FEE, 50, 450]
    assert await shop.rights(vera) == ["own"]
    await shop.hear()
    assert len(await shop.control.rows("select id from txn")) == 1
    await shop.audit()


async def direct(control: Control, patch: pytest.MonkeyPatch) -> tuple[Shop, list[Order], str, str]:
    """A shop whose rail pays the seller's part out at once, its orders, and the ids of the seller and its partner."""
    shop = await open_shop(control, partners=[("anna", 2000)])
    sellers = {row["handle"]: row["id"] for row in await control.rows("select id, handle from seller")}
    await control.rows(
        "insert into payee (seller, provider, account, can_charge) values ($1, 'sandbox', 'acct_1', true)",
        sellers["studio"],
    )
    begin, orders = shop.hands.provider.start, list[Order]()

    async def start(order: Order) -> Started:
        orders.append(order)
        return await begin(replace(order, seller_account="", fee_amount=0))

    patch.setattr(shop.hands.provider, "start", start)
    return shop, orders, sellers["studio"], sellers["anna"]


async def test_part_that_a_rail_gives_the_seller_at_once_is_told_and_never_available(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, orders, studio, anna = await direct(control, monkeypatch)
    await shop.by_card(await shop.viewer())
    # What stays with the platform is its fee, and what it pays the partner later.
    assert [(order.seller_account, order.fee_amount) for order in orders] == [("acct_1", 140)]
    accounts = (f"external:sandbox:{studio}", f"earnings_pending:{anna}", "platform_fee")
    assert await shop.amounts(*accounts) == [360, 90, 50]
    control.clock.advance(7 * 86400)
    await checkout.settle(shop=shop.wired)
    assert await shop.amounts(*accounts, f"earnings:{studio}", f"earnings:{anna}") == [360, 0, 50, 0, 90]
    ref = (await control.rows("select provider_ref from purchase"))[0]["provider_ref"]
    await shop.hands.provider.refund(ref, 500, "from the dashboard")
    await shop.hear()
    assert await shop.amounts(*accounts, f"earnings:{anna}") == [0, 0, 0, 0]
    await shop.audit()


async def test_rail_pays_out_what_it_was_told_of_whoever_the_partners_are_by_then(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, orders, studio, anna = await direct(control, monkeypatch)
    begun = await shop.bought(await shop.viewer(), pay="sandbox")
    all_of_it = {"items": [{"seller": "anna", "share_bp": 10_000}]}
    await shop.owner.ask("PUT", f"titles/{shop.title}/partners", body=all_of_it)
    await shop.hands.pay(ref_of(begun), "approve")
    await shop.hear()
    assert [order.fee_amount for order in orders] == [140]
    accounts = (f"external:sandbox:{studio}", f"earnings_pending:{anna}", "platform_fee")
    assert await shop.amounts(*accounts) == [360, 90, 50]
    await shop.audit()


async def test_nobody_has_a_part_of_what_was_not_wanted_and_loses_none_by_a_dispute_over_it(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, _, studio, anna = await direct(control, monkeypatch)
    vera = await shop.viewer(funds=500)
    begun = await shop.bought(vera, pay="sandbox")
    await shop.bought(vera)
    await shop.hands.pay(ref_of(begun), "approve")
    await shop.hear()
    assert await control.rows("select n from purchase_part where purchase = $1", begun["id"]) == []
    await shop.hands.dispute(ref_of(begun))
    await shop.hear()
    accounts = (f"external:sandbox:{studio}", f"receivable:{studio}", f"earnings_pending:{anna}")
    assert await shop.amounts(*accounts) == [0, 0, 90]
    await shop.audit()


async def test_card_that_is_declined_buys_nothing_and_another_card_does(shop: Shop) -> None:
    vera = await shop.viewer()
    begun = await shop.bought(vera, pay="sandbox")
    await shop.hands.pay(ref_of(begun), "decline")
    await shop.hear()
    assert await shop.rights(vera) == [] and await shop.control.rows("select id from txn") == []
    await shop.hands.pay(ref_of(begun), "approve")
    await shop.hear()
    assert await shop.rights(vera) == ["own"]


async def test_second_click_goes_on_with_the_payment_that_was_begun(shop: Shop) -> None:
    vera = await shop.viewer()
    first, second = await shop.bought(vera, pay="sandbox"), await shop.bought(vera, pay="sandbox")
    assert (second["id"], second["url"]) == (first["id"], first["url"])
    answers = await asyncio.gather(*(shop.buy(vera, pay="sandbox") for _ in range(20)))
    assert {answer.json()["id"] for answer in answers} == {first["id"]}
    assert len(await shop.control.rows("select ref from sandbox_payment")) == 1


async def test_clicks_at_once_begin_one_payment(shop: Shop) -> None:
    vera = await shop.viewer()
    answers = await asyncio.gather(*(shop.buy(vera, pay="sandbox") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert len(await shop.control.rows("select ref from sandbox_payment")) == 1
    assert await states(shop) == ["new"]


async def test_gift_does_not_end_the_payment_of_who_is_buying_it_themselves(shop: Shop) -> None:
    vera, otto = await shop.viewer(), await shop.viewer("otto", funds=500)
    begun = await shop.bought(vera, pay="sandbox")
    for way in ("sandbox", "wallet"):
        assert code_of(await shop.buy(otto, pay=way, gift_to="vera")) == (409, "bought-meanwhile")
    assert await states(shop) == ["new"]
    await shop.hands.pay(ref_of(begun), "approve")
    await shop.hear()
    assert await shop.rights(vera) == ["own"] and await states(shop) == ["paid"]


async def test_gift_goes_on_where_who_gets_it_gave_up_paying(shop: Shop) -> None:
    vera, otto = await shop.viewer(), await shop.viewer("otto", funds=500)
    await shop.bought(vera, pay="sandbox")
    shop.control.clock.advance(OPEN_FOR.total_seconds())
    await shop.bought(otto, gift_to="vera")
    assert await shop.rights(vera) == ["own"] and await states(shop) == ["expired", "paid"]


async def test_payment_that_comes_after_the_wallet_paid_is_given_back(shop: Shop) -> None:
    vera = await shop.viewer(funds=500)
    begun = await shop.bought(vera, pay="sandbox")
    await shop.bought(vera)
    assert await states(shop) == ["expired", "paid"]
    await shop.hands.pay(ref_of(begun), "approve")
    await shop.hear()
    assert await states(shop) == ["paid", "refunded"]
    assert await failed(shop) == [(begun["id"], "expired")]
    assert await shop.amounts("refunds_clearing", "cash:sandbox", "rail_fee:sandbox") == [500, -500 + FEE, -FEE]
    assert await checkout.ask_refunds(shop=shop.wired) == 1
    await shop.hear()
    assert await checkout.ask_refunds(shop=shop.wired) == 0
    assert await shop.amounts("refunds_clearing", "cash:sandbox") == [0, FEE]
    assert await shop.amounts(f"wallet:{vera.id}", "platform_fee") == [0, 50]
    assert await shop.rights(vera) == ["own"]
    await shop.audit()


async def test_payment_of_somebody_whom_the_seller_blocked_meanwhile_is_given_back(shop: Shop) -> None:
    vera = await shop.viewer()
    begun = await shop.bought(vera, pay="sandbox")
    await shop.seller.ask("PUT", f"sellers/{shop.seller.seller['handle']}/blocked/vera", 204)
    await shop.hands.pay(ref_of(begun), "approve")
    await shop.hear()
    assert await states(shop) == ["refunded"] and await shop.rights(vera) == []
    assert await shop.amounts("refunds_clearing", "platform_fee") == [500, 0]


@pytest.mark.parametrize("is_used_up", [False, True])
async def test_coupon_of_a_payment_that_was_given_up_counts_again_when_it_is_paid(shop: Shop, is_used_up: bool) -> None:
    coupon = {"code": "HALF", "percent": 50, "uses_max": 1}
    await shop.owner.ask("POST", f"sellers/{shop.seller.seller['handle']}/coupons", 201, coupon)
    vera, otto = await shop.viewer(), await shop.viewer("otto", funds=250)
    begun = await shop.bought(vera, pay="sandbox", coupon="HALF")
    await shop.bought(vera, pay="sandbox")
    if is_used_up:
        await shop.bought(otto, coupon="HALF")
    await shop.hands.pay(ref_of(begun), "approve")
    await shop.hear()
    assert (await vera.ask("GET", f"payments/{begun['id']}"))["state"] == ("refunded" if is_used_up else "paid")
    assert await shop.rights(vera) == ([] if is_used_up else ["own"])
    assert await shop.control.rows("select used from coupon") == [{"used": 1}]
    assert len(await shop.control.rows("select purchase from coupon_use")) == 1
    await shop.audit()


async def test_payment_in_another_amount_is_given_back(shop: Shop) -> None:
    vera = await shop.viewer()
    begun = await shop.bought(vera, pay="sandbox")
    wrong = Charge(
        provider_ref=ref_of(begun),
        order=begun["id"],
        state="paid",
        amount=400,
        currency="USD",
        fee=42,
        fee_currency="USD",
    )
    async with shop.control.wiring["begin"]() as unit:
        heard = await checkout.hear(wrong, rail="sandbox", unit=unit, shop=shop.wired)
    assert heard.state == "refunded" and await shop.rights(vera) == []
    assert await shop.amounts("refunds_clearing", "platform_fee") == [400, 0]
    refunds = await shop.control.rows("select amount, state, reason from refund")
    assert refunds == [{"amount": 400, "state": "asked", "reason": "not wanted any more"}]


async def test_dispute_takes_everything_back_and_one_that_is_won_gives_it_again(shop: Shop) -> None:
    vera = await shop.viewer()
    paid = await shop.by_card(vera)
    seller = shop.seller.seller["id"]
    ref = (await shop.control.rows("select provider_ref from purchase"))[0]["provider_ref"]
    await shop.hands.dispute(ref)
    await shop.hear()
    assert (await vera.ask("GET", f"payments/{paid['id']}"))["state"] == "disputed"
    assert await shop.amounts("cash:sandbox", "platform_fee", f"earnings_pending:{seller}") == [FEE, 0, 0]
    assert await shop.rights(vera) == [] and not await shop.may_watch(vera)
    assert any(push.startswith("push.sub") for push in await shop.pushes())
    await shop.hands.dispute(ref, won=True)
    await shop.hear()
    assert (await vera.ask("GET", f"payments/{paid['id']}"))["state"] == "paid"
    assert await shop.amounts("cash:sandbox", "platform_fee", f"earnings_pending:{seller}") == [-500 + FEE, 50, 450]
    assert await shop.rights(vera) == ["own"] and await shop.may_watch(vera)
    await shop.audit()


async def test_what_nobody_pays_in_time_expires_and_cannot_be_paid_any_more(shop: Shop) -> None:
    vera = await shop.viewer()
    begun = await shop.bought(vera, pay="sandbox")
    assert await checkout.look_after(shop=shop.wired) == 0
    shop.control.clock.advance(OPEN_FOR.total_seconds())
    assert await checkout.look_after(shop=shop.wired) == 1
    assert await states(shop) == ["expired"]
    charge = await shop.hands.provider.find(ref_of(begun))
    assert charge.state == "voided"
    assert await failed(shop) == [(begun["id"], "expired")]
    assert await checkout.look_after(shop=shop.wired) == 0
    again = await shop.bought(vera, pay="sandbox")
    assert again["id"] != begun["id"]


async def test_payment_whose_webhook_is_lost_is_found_by_looking(shop: Shop) -> None:
    vera = await shop.viewer()
    begun = await shop.bought(vera, pay="sandbox")
    await shop.hands.pay(ref_of(begun), "approve")
    shop.control.clock.advance(OPEN_FOR.total_seconds())
    await process.look_after_payments(shop.control.wiring)
    assert await states(shop) == ["paid"] and await shop.rights(vera) == ["own"]
    await shop.hear()
    assert len(await shop.control.rows("select id from txn")) == 1


async def test_payment_at_a_provider_that_is_not_in_use_any_more_holds_up_no_other(shop: Shop) -> None:
    old, vera = await shop.bought(await shop.viewer("old"), pay="sandbox"), await shop.viewer()
    await shop.control.rows("update purchase set rail = 'gone' where id = $1", old["id"])
    begun = await shop.bought(vera, pay="sandbox")
    await shop.hands.pay(ref_of(begun), "approve")
    shop.control.clock.advance(OPEN_FOR.total_seconds())
    assert await checkout.look_after(shop=shop.wired) == 2
    assert await shop.rights(vera) == ["own"] and await states(shop) == ["new", "paid"]
    assert await checkout.look_after(shop=shop.wired) == 0
    shop.control.clock.advance(60)
    assert await checkout.look_after(shop=shop.wired) == 1


async def test_earnings_that_cannot_be_settled_hold_up_no_other(shop: Shop) -> None:
    bad, _ = await shop.by_card(await shop.viewer("bad")), await shop.by_card(await shop.viewer())
    await shop.control.rows("update purchase_part set amount = amount + 10000 where purchase = $1", bad["id"])
    shop.control.clock.advance(7 * 86400)
    assert await checkout.settle(shop=shop.wired) == 1
    seller = shop.seller.seller["id"]
    assert await shop.amounts(f"earnings:{seller}", f"earnings_pending:{seller}") == [450, 450]


async def test_payment_that_is_declined_as_it_begins_failed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def declined(order: Order) -> Started:
        return Started(state="declined", provider_ref="pay_1", words="Not this card.")

    monkeypatch.setattr(shop.hands.provider, "start", declined)
    begun = await shop.bought(await shop.viewer(), pay="sandbox")
    assert (begun["state"], begun["words"]) == ("failed", "Not this card.")
    assert await failed(shop) == [(begun["id"], "failed")]


async def test_amount_the_provider_does_not_take_fails_at_once(control: Control) -> None:
    shop = await open_shop(control, price=20, accept_loss=True)
    vera = await shop.viewer(funds=20)
    assert (await shop.buy(vera, pay="sandbox")).status_code == 422
    assert await states(shop) == ["failed"]
    assert [state for _, state in await failed(shop)] == ["failed"]
    await shop.bought(vera)
    assert await states(shop) == ["failed", "paid"]


async def test_top_up_comes_onto_the_wallet_and_is_in_its_history(shop: Shop) -> None:
    vera = await shop.viewer()
    begun = await vera.ask("POST", "wallet/top-ups", 201, {"amount": 2000, "currency": "USD"})
    assert (begun["kind"], begun["rail"], begun["state"]) == ("top_up", "sandbox", "new")
    await shop.hands.pay(ref_of(begun), "approve")
    await shop.hear()
    await shop.hear()
    assert (await vera.ask("GET", "wallet"))["pockets"][0]["balance"] == 2000
    assert [(item["kind"], item["amount"]) for item in (await vera.ask("GET", "payments/history"))["items"]] == [
        ("top_up", 2000)
    ]
    await shop.bought(vera)
    assert await shop.amounts(f"wallet:{vera.id}") == [1500]
    await shop.audit()


async def test_dispute_of_a_top_up_that_was_spent_is_owed_and_paid_by_the_next_one(shop: Shop) -> None:
    vera = await shop.viewer()

    async def paid(amount: int) -> str:
        begun = await vera.ask("POST", "wallet/top-ups", 201, {"amount": amount, "currency": "USD"})
        await shop.hands.pay(ref_of(begun), "approve")
        await shop.hear()
        return ref_of(begun)

    ref = await paid(600)
    await shop.bought(vera)
    await shop.hands.dispute(ref)
    await shop.hear()
    assert await shop.amounts(f"wallet:{vera.id}", f"receivable:{vera.id}") == [0, -500]
    await paid(800)
    assert await shop.amounts(f"wallet:{vera.id}", f"receivable:{vera.id}") == [300, 0]
    await shop.audit()


async def test_top_up_of_a_wrong_form_is_refused(shop: Shop) -> None:
    vera = await shop.viewer()
    for wrong, code in (
        ({"amount": 0, "currency": "USD"}, "invalid"),
        ({"amount": -5, "currency": "USD"}, "invalid"),
        ({"amount": 1.5, "currency": "USD"}, "invalid"),
        ({"amount": 10**13, "currency": "USD"}, "invalid"),
        ({"amount": 500, "currency": "usd"}, "invalid"),
        ({"amount": 500, "currency": "XXX"}, "currency-unknown"),
        ({"amount": 500, "currency": "USD", "pay": "wallet"}, "no-provider"),
    ):
        assert code_of(await vera.send("POST", "wallet/top-ups", wrong)) == (422, code), wrong


async def test_event_of_another_rail_or_of_nothing_of_ours_is_left_alone(shop: Shop) -> None:
    vera: Viewer = await shop.viewer()
    begun = await shop.bought(vera, pay="sandbox")
    charge = Charge(provider_ref="x", order=begun["id"], state="paid", amount=500, currency="USD")
    book = checkout.booking(shop.wired)
    async with shop.control.wiring["begin"]() as unit:
        await book("stripe", charge, unit)
        await book("sandbox", replace(charge, order="pur_none"), unit)
    assert await states(shop) == ["new"]
