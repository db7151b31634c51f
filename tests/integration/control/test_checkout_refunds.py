"""Giving back and settling: each gives back its part, what is not there any more is owed, and sessions end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.control.checkout import actions as checkout
from gateway.control.checkout.actions import books, turns
from gateway.control.checkout.actions.refunds import LAST_S
from gateway.control.checkout.model import Purchase, Refund
from gateway.control.ledger.model import Movement
from gateway.control.payments.providers.base import Charge
from gateway.control.worker import process
from shared.errors import Conflict, ProviderUnavailable
from tests.support.control import PASSWORD, code_of
from tests.support.ledger import movement
from tests.support.shop import Shop, Viewer, ref_of

HOLD_S = 7 * 86400


@pytest.fixture
async def admin(shop: Shop) -> Viewer:
    """Somebody who may give back."""
    return await shop.viewer("ada", role="admin")


async def give_back(admin: Viewer, purchase: str, **about: object) -> dict[str, object]:
    """A refund that went through, as it is answered."""
    path = f"payments/{purchase}/refunds"
    return dict(await admin.ask("POST", path, 201, {"reason": "asked for", **about}))


async def earned(shop: Shop) -> list[int]:
    """What the seller has: pending, available, owed."""
    seller = shop.seller.seller["id"]
    return await shop.amounts(f"earnings_pending:{seller}", f"earnings:{seller}", f"receivable:{seller}")


async def settle(shop: Shop) -> None:
    """The days pass after which earnings are available."""
    shop.control.clock.advance(HOLD_S)
    await process.settle_earnings(shop.control.wiring)


async def test_refund_gives_all_back_ends_the_right_and_tells_the_edges(shop: Shop, admin: Viewer) -> None:
    vera = await shop.viewer(funds=500)
    purchase = await shop.bought(vera)
    refund = await give_back(admin, purchase["id"])
    assert (refund["amount"], refund["state"]) == (500, "done")
    assert await shop.amounts(f"wallet:{vera.id}", "platform_fee") == [500, 0]
    assert await earned(shop) == [0, 0, 0]
    assert await shop.rights(vera) == [] and not await shop.may_watch(vera)
    sub = (await shop.control.rows("select sub from principal where id = $1", vera.id))[0]["sub"]
    assert f"push.sub {sub}" in await shop.pushes()
    assert (await vera.ask("GET", f"payments/{purchase['id']}"))["state"] == "refunded"
    audited = await shop.control.rows("select actor from audit where action = 'payment:refund'")
    assert audited == [{"actor": admin.id}]
    await shop.audit()
    # What was given back can be bought again.
    await shop.bought(vera)


async def test_what_a_coupon_made_free_is_given_back_without_a_movement_and_its_coupon_stays_used(
    shop: Shop, admin: Viewer
) -> None:
    coupon = {"code": "ALL", "percent": 100, "uses_max": 1}
    await shop.owner.ask("POST", f"sellers/{shop.seller.seller['handle']}/coupons", 201, coupon)
    vera = await shop.viewer(funds=500)
    purchase = (await shop.bought(vera, coupon="ALL"))["id"]
    path = f"payments/{purchase}/refunds"
    assert code_of(await admin.send("POST", path, {"reason": "x", "amount": 1})) == (422, "refund-too-large")
    refund = await give_back(admin, purchase)
    assert (refund["amount"], refund["state"]) == (0, "done")
    assert await shop.rights(vera) == [] and not await shop.may_watch(vera)
    assert (await vera.ask("GET", f"payments/{purchase}"))["state"] == "refunded"
    assert [row["kind"] for row in await shop.control.rows("select kind from txn")] == ["test"]
    assert code_of(await admin.send("POST", path, {"reason": "x"})) == (409, "nothing-to-refund")
    told = await shop.control.rows("select data from outbox where type = 'payment.refunded'")
    assert [(row["data"]["amount"], row["data"]["txn"]) for row in told] == [(0, None)]
    assert [one["amount"] for one in (await admin.ask("GET", "admin/refunds"))["items"]] == [0]
    assert code_of(await shop.buy(vera, coupon="ALL")) == (409, "coupon-used-up")
    await shop.bought(vera)
    await shop.audit()


async def test_why_it_was_given_back_is_on_record_and_told_nobody(
    shop: Shop, admin: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await give_back(admin, (await shop.by_card(await shop.viewer()))["id"], reason="Otto Berg wept")

    async def refuse(*about: object, **more: object) -> None:
        raise Conflict("Ask Otto Berg.")

    with monkeypatch.context() as closed:
        closed.setattr(shop.hands.provider, "refund", refuse)
        await checkout.ask_refunds(shop=shop.wired)
    await admin.ask("POST", f"refunds/{made['id']}/retry")
    record = "select before, after from audit where action = 'payment:refund' order by seq"
    recorded = [(row["before"], row["after"]) for row in await shop.control.rows(record)]
    assert recorded[0][1]["reason"] == "Otto Berg wept" and recorded[1][0]["words"] == "Ask Otto Berg."
    told = await shop.control.rows("select data from outbox where type = 'admin.action' and subject = $1", made["id"])
    assert [(row["data"]["actor"], row["data"]["action"]) for row in told] == [(admin.id, "payment:refund")] * 2
    assert told[1]["data"]["before"] == {"state": "failed"}
    assert await shop.control.rows("select id from outbox where data::text like '%Otto%'") == []


async def test_every_posting_of_a_purchase_says_by_which_terms_it_was_sold(shop: Shop, admin: Viewer) -> None:
    purchase = (await shop.by_card(await shop.viewer()))["id"]
    await give_back(admin, purchase)
    await checkout.ask_refunds(shop=shop.wired)
    found = await shop.control.rows(
        "select distinct t.kind, p.model, p.fee_bp, p.legal_entity, p.seller, p.scope, p.provider_ref"
        " from posting p join txn t on t.id = p.txn order by t.kind"
    )
    assert [row["kind"] for row in found] == ["refund", "refund-done", "sale"]
    said = {(row["model"], row["fee_bp"], row["seller"], row["scope"]) for row in found}
    assert said == {("tvod", 1000, shop.seller.seller["id"], shop.title)}
    assert len({(row["legal_entity"], row["provider_ref"]) for row in found}) == 1


async def test_right_comes_back_each_time_a_dispute_is_won_and_goes_with_each_that_comes(
    shop: Shop, admin: Viewer
) -> None:
    vera = await shop.viewer()
    purchase = (await shop.by_card(vera))["id"]
    ref = (await shop.control.rows("select provider_ref from purchase"))[0]["provider_ref"]
    for _ in range(3):
        await shop.hands.dispute(ref)
        await shop.hear()
        assert await shop.rights(vera) == [] and not await shop.may_watch(vera)
        await shop.hands.dispute(ref, won=True)
        await shop.hear()
        assert await shop.rights(vera) == ["own"] and await shop.may_watch(vera)
    await give_back(admin, purchase)
    assert await shop.rights(vera) == [] and not await shop.may_watch(vera)
    await shop.audit()


async def test_refunds_in_parts_take_in_proportion_and_the_right_stays_until_all_is_given_back(
    shop: Shop, admin: Viewer
) -> None:
    vera = await shop.viewer(funds=500)
    purchase = (await shop.bought(vera))["id"]
    await give_back(admin, purchase, amount=101)
    assert await shop.amounts(f"wallet:{vera.id}", "platform_fee") == [101, 40]
    assert await earned(shop) == [359, 0, 0]
    assert await shop.rights(vera) == ["own"] and await shop.pushes() == []
    refused = await admin.send("POST", f"payments/{purchase}/refunds", {"reason": "x", "amount": 400})
    assert code_of(refused) == (422, "refund-too-large")
    assert "3.99" in refused.json()["detail"]
    await give_back(admin, purchase)
    assert await shop.amounts(f"wallet:{vera.id}", "platform_fee") == [500, 0]
    assert await shop.rights(vera) == []
    refused = await admin.send("POST", f"payments/{purchase}/refunds", {"reason": "x"})
    assert code_of(refused) == (409, "nothing-to-refund")
    await shop.audit()


async def test_refunds_at_once_give_back_once(shop: Shop, admin: Viewer) -> None:
    vera = await shop.viewer(funds=500)
    purchase = (await shop.bought(vera))["id"]
    path = f"payments/{purchase}/refunds"
    answers = await asyncio.gather(*(admin.send("POST", path, {"reason": "asked for"}) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert await shop.amounts(f"wallet:{vera.id}") == [500]
    await shop.audit()


async def test_only_who_may_gives_back(shop: Shop) -> None:
    vera = await shop.viewer(funds=500)
    purchase = (await shop.bought(vera))["id"]
    for who in (vera, shop.owner):
        assert code_of(await who.send("POST", f"payments/{purchase}/refunds", {"reason": "x"})) == (403, "forbidden")
    assert await shop.amounts(f"wallet:{vera.id}") == [0]


async def test_earnings_become_available_after_their_days_once(shop: Shop) -> None:
    await shop.bought(await shop.viewer(funds=500))
    shop.control.clock.advance(HOLD_S - 1)
    assert await checkout.settle(shop=shop.wired) == 0
    assert await earned(shop) == [450, 0, 0]
    shop.control.clock.advance(1)
    await asyncio.gather(*(checkout.settle(shop=shop.wired) for _ in range(3)))
    assert await earned(shop) == [0, 450, 0]
    assert await checkout.settle(shop=shop.wired) == 0
    await shop.audit()


async def test_earnings_that_cannot_be_settled_hold_up_no_others(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await shop.bought(await shop.viewer(funds=500))
    shop.control.clock.advance(1)
    await shop.bought(await shop.viewer("otto", funds=500))
    shop.control.clock.advance(HOLD_S)
    settled = books.settle

    async def broken(purchase: Purchase, **about: Any) -> Purchase:
        if purchase.id == first["id"]:
            raise ValueError("not this one")
        return await settled(purchase, **about)

    monkeypatch.setattr(turns, "AT_ONCE", 1)
    with monkeypatch.context() as breaking:
        breaking.setattr(books, "settle", broken)
        assert [await checkout.settle(shop=shop.wired) for _ in range(3)] == [0, 1, 0]
    assert await earned(shop) == [450, 450, 0]
    shop.control.clock.advance(3600)
    assert await checkout.settle(shop=shop.wired) == 1
    assert await earned(shop) == [0, 900, 0]


async def test_refund_that_cannot_be_told_as_done_holds_up_no_other(
    shop: Shop, admin: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for name in ("vera", "otto"):
        made.append(await give_back(admin, (await shop.by_card(await shop.viewer(name)))["id"]))
        shop.control.clock.advance(1)
    told = books.done

    async def broken(refund: Refund, *about: Any, **ports: Any) -> None:
        if refund.id == made[0]["id"]:
            raise ValueError("not this one")
        await told(refund, *about, **ports)

    with monkeypatch.context() as breaking:
        breaking.setattr(books, "done", broken)
        assert await checkout.ask_refunds(shop=shop.wired) == 1
    shop.control.clock.advance(60)
    assert await checkout.ask_refunds(shop=shop.wired) == 1
    states = await shop.control.rows("select state from refund")
    assert [row["state"] for row in states] == ["done", "done"]
    await shop.audit()


async def test_refund_that_is_done_is_not_told_as_failed_after(shop: Shop, admin: Viewer) -> None:
    made = await give_back(admin, (await shop.bought(await shop.viewer(funds=500)))["id"])
    async with shop.control.wiring["begin"]() as unit:
        await unit.purchases.close_refund(str(made["id"]), "failed", words="late", at=shop.control.clock.now())
    assert (await shop.control.rows("select state, words from refund")) == [{"state": "done", "words": ""}]


async def test_top_up_paid_after_its_account_was_deleted_is_given_back(shop: Shop) -> None:
    vera = await shop.viewer()
    body = {"amount": 2000, "currency": "USD", "pay": "sandbox"}
    begun = await vera.ask("POST", "wallet/top-ups", 201, body)
    assert (await vera.http.request("DELETE", "/v1/me", json={"password": PASSWORD})).status_code == 204
    await shop.hands.pay(ref_of(begun), "approve")
    await shop.hear()
    assert await shop.amounts(f"wallet:{vera.id}", "refunds_clearing") == [0, 2000]
    assert await checkout.ask_refunds(shop=shop.wired) == 1
    await shop.audit()


async def test_refund_of_earnings_that_are_gone_is_owed_and_paid_first_from_the_next(shop: Shop, admin: Viewer) -> None:
    vera, otto = await shop.viewer(funds=500), await shop.viewer("otto", funds=500)
    purchase = (await shop.bought(vera))["id"]
    await settle(shop)
    seller = shop.seller.seller["id"]
    await shop.books.post(movement_of(seller, 400))
    await give_back(admin, purchase)
    assert await shop.amounts(f"wallet:{vera.id}", "platform_fee") == [500, 0]
    assert await earned(shop) == [0, 0, -400]
    await shop.bought(otto)
    await settle(shop)
    assert await earned(shop) == [0, 50, 0]
    await shop.audit()


async def test_refund_of_what_is_partly_given_back_settles_the_rest(shop: Shop, admin: Viewer) -> None:
    vera = await shop.viewer(funds=500)
    purchase = (await shop.bought(vera))["id"]
    await give_back(admin, purchase, amount=100)
    await settle(shop)
    assert await earned(shop) == [0, 360, 0]
    await give_back(admin, purchase)
    await settle(shop)
    assert await earned(shop) == [0, 0, 0]
    assert await shop.amounts("platform_fee") == [0]
    await shop.audit()


async def test_refund_by_a_provider_waits_for_it_and_what_it_tells_of_it_is_not_booked_again(
    shop: Shop, admin: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    vera = await shop.viewer()
    purchase = (await shop.by_card(vera))["id"]
    refund = await give_back(admin, purchase)
    assert refund["state"] == "asked" and await shop.rights(vera) == []
    assert await shop.amounts("refunds_clearing", "cash:sandbox") == [500, -455]

    async def away(*about: object, **more: object) -> None:
        raise ProviderUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(shop.hands.provider, "refund", away)
        await process.ask_for_refunds(shop.control.wiring)
    assert await checkout.ask_refunds(shop=shop.wired) == 0
    shop.control.clock.advance(LAST_S)
    assert sorted(await asyncio.gather(*(checkout.ask_refunds(shop=shop.wired) for _ in range(3)))) == [0, 0, 1]
    await shop.hear()
    assert await shop.amounts("refunds_clearing", "cash:sandbox", "rail_fee:sandbox") == [0, 45, -45]
    assert await earned(shop) == [0, 0, 0]
    await shop.audit()


async def test_refund_a_provider_refuses_is_left_for_a_person(
    shop: Shop, admin: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    vera = await shop.viewer()
    purchase = (await shop.by_card(vera))["id"]
    path = f"refunds/{(await give_back(admin, purchase))['id']}/retry"
    assert code_of(await admin.send("POST", path)) == (409, "refund-asked")

    async def refuse(*about: object, **more: object) -> None:
        raise Conflict("The account is closed.")

    with monkeypatch.context() as closed:
        closed.setattr(shop.hands.provider, "refund", refuse)
        assert await checkout.ask_refunds(shop=shop.wired) == 0
    assert await shop.control.rows("select state, words from refund") == [
        {"state": "failed", "words": "The account is closed."}
    ]
    assert await shop.amounts("refunds_clearing") == [500]
    for who in (vera, shop.owner):
        assert code_of(await who.send("POST", path)) == (403, "forbidden")
    assert await checkout.ask_refunds(shop=shop.wired) == 0
    again = await admin.ask("POST", path)
    assert (again["state"], again["words"]) == ("asked", "")
    assert await checkout.ask_refunds(shop=shop.wired) == 1
    assert code_of(await admin.send("POST", path)) == (409, "refund-done")
    assert code_of(await admin.send("POST", "refunds/ref_none/retry")) == (404, "not-found")
    await shop.hear()
    assert await shop.amounts("refunds_clearing", "cash:sandbox") == [0, 45]
    audited = await shop.control.rows("select count(*) as n from audit where action = 'payment:refund'")
    assert audited == [{"n": 2}]
    await shop.audit()


async def test_refund_that_goes_wrong_in_an_unforeseen_way_holds_up_no_other(
    shop: Shop, admin: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = await give_back(admin, (await shop.by_card(await shop.viewer("bad")))["id"])
    await give_back(admin, (await shop.by_card(await shop.viewer()))["id"])
    refund = shop.hands.provider.refund

    async def broken(ref: str, amount: int, key: str, *, of_seller: int | None) -> Charge:
        if key == bad["id"]:
            raise ValueError("no such field")
        return await refund(ref, amount, key, of_seller=of_seller)

    with monkeypatch.context() as changed:
        changed.setattr(shop.hands.provider, "refund", broken)
        assert await checkout.ask_refunds(shop=shop.wired) == 1
    assert [row["state"] for row in await shop.control.rows("select state from refund order by state")] == [
        "asked",
        "done",
    ]
    shop.control.clock.advance(LAST_S)
    assert await checkout.ask_refunds(shop=shop.wired) == 1


async def test_refund_that_other_hands_made_at_the_provider_first_is_done(shop: Shop, admin: Viewer) -> None:
    purchase = (await shop.by_card(await shop.viewer()))["id"]
    await give_back(admin, purchase)
    ref = (await shop.control.rows("select provider_ref from purchase"))[0]["provider_ref"]
    await shop.hands.provider.refund(ref, 500, "from the dashboard")
    await shop.hear()
    assert await checkout.ask_refunds(shop=shop.wired) == 1
    assert await shop.amounts("refunds_clearing", "cash:sandbox") == [0, 45]
    await shop.audit()


async def test_refund_made_at_the_provider_is_booked_as_ours_would_be(shop: Shop) -> None:
    vera = await shop.viewer()
    await shop.by_card(vera)
    ref = (await shop.control.rows("select provider_ref from purchase"))[0]["provider_ref"]
    await shop.hands.provider.refund(ref, 500, "from the dashboard")
    await shop.hear()
    assert await shop.amounts("refunds_clearing", "cash:sandbox", "platform_fee") == [0, 45, 0]
    assert await earned(shop) == [0, 0, 0] and await shop.rights(vera) == []
    await shop.audit()


def movement_of(seller: str, amount: int) -> Movement:
    """The seller takes so much out by hand."""
    return movement(f"out:{seller}", **{f"earnings__{seller}": -amount, "cash__bank": amount})
