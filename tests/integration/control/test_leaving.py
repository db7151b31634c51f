"""Accounts that leave, or are shut out, while money or rights come to them: nothing ends with nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import httpx2
import pytest

from gateway.control.accounts.store import AccountStore
from gateway.control.checkout.store import PurchaseStore
from gateway.control.entitlements.store import EntitlementStore
from gateway.control.ledger.store import LedgerStore
from gateway.control.sandbox.model import NAME
from gateway.control.wallet.store import WalletStore
from shared.ids import new_id
from tests.support.control import PASSWORD, Control, code_of
from tests.support.postgres import met
from tests.support.shop import Shop, Viewer, open_shop, ref_of
from tests.support.titles import desk

AMOUNT = {"amount": 700, "currency": "USD"}


async def leave(who: Viewer) -> httpx2.Response:
    """Delete one's account."""
    return await who.http.request("DELETE", "/v1/me", json={"password": PASSWORD})


async def archive(shop: Shop) -> None:
    """Take the title off sale."""
    await shop.owner.ask("POST", f"titles/{shop.title}/archive")


async def with_partner(control: Control) -> tuple[Shop, Viewer]:
    """A shop that shares its sales, and the owner of who gets half of them."""
    shop = await open_shop(control)
    anna = await desk(control, "anna")
    items = {"items": [{"seller": "anna", "share_bp": 5000}]}
    await shop.owner.ask("PUT", f"titles/{shop.title}/partners", body=items)
    return shop, Viewer(anna.http, anna.me)


async def test_only_owner_of_a_partner_stays_until_the_share_is_taken_out(control: Control) -> None:
    shop, anna = await with_partner(control)
    refused = await leave(anna)
    assert code_of(refused) == (409, "only-owner")
    assert "share of others' titles" in refused.json()["detail"]
    await shop.owner.ask("PUT", f"titles/{shop.title}/partners", body={"items": []})
    assert (await leave(anna)).status_code == 204


async def test_only_owner_of_a_partner_may_go_once_the_title_is_archived(control: Control) -> None:
    shop, anna = await with_partner(control)
    await archive(shop)
    assert (await leave(anna)).status_code == 204


async def test_who_left_is_no_partner_again(control: Control) -> None:
    shop, anna = await with_partner(control)
    await archive(shop)
    assert (await leave(anna)).status_code == 204
    shares = {"items": [{"seller": "anna", "share_bp": 5000}]}
    refused = await shop.owner.http.put(f"/v1/titles/{shop.title}/partners", json=shares)
    assert refused.status_code == 422 and "Nobody looks after anna" in refused.json()["detail"]
    await shop.owner.ask("PUT", f"titles/{shop.title}/partners", body={"items": []})


async def test_owner_who_is_shut_out_looks_after_nothing(shop: Shop) -> None:
    admin, eve = await shop.viewer("ada", role="admin"), await shop.viewer("eve")
    await shop.owner.ask("PUT", "sellers/studio/members/eve", 204, {"role": "owner"})
    await admin.ask("PUT", "admin/users/eve/disabled", body={"reason": "stolen cards"})
    assert code_of(await leave(shop.owner)) == (409, "only-owner")
    await admin.ask("DELETE", "admin/users/eve/disabled")
    assert (await leave(shop.owner)).status_code == 204
    assert eve.id


@pytest.mark.parametrize("who", ["seller", "partner"])
async def test_owner_stays_while_a_dispute_of_their_earnings_is_open(control: Control, who: str) -> None:
    shop, anna = await with_partner(control)
    owner = anna if who == "partner" else shop.owner
    await shop.by_card(await shop.viewer())
    ref = (await control.rows("select provider_ref from purchase"))[0]["provider_ref"]
    await shop.hands.dispute(ref)
    await shop.hear()
    await archive(shop)
    assert code_of(await leave(owner)) == (409, "earnings-disputed")
    await shop.hands.dispute(ref, won=False)
    await shop.hear()
    assert (await leave(owner)).status_code == 204
    await shop.audit()


async def test_earnings_that_a_won_dispute_gave_again_are_to_be_taken_out_first(shop: Shop) -> None:
    await shop.by_card(await shop.viewer())
    ref = (await shop.control.rows("select provider_ref from purchase"))[0]["provider_ref"]
    for won in (None, True):
        await (shop.hands.dispute(ref) if won is None else shop.hands.dispute(ref, won=won))
        await shop.hear()
    await archive(shop)
    assert code_of(await leave(shop.owner)) == (409, "earnings-left")


def beside(
    monkeypatch: pytest.MonkeyPatch, where: tuple[type, str], control: Control, ask: Callable[[], Awaitable[Any]]
) -> list[asyncio.Task[Any]]:
    """Another request, asked after a step of the first one: that goes on once the other is done, or waits."""
    asked: list[asyncio.Task[Any]] = []
    step = getattr(*where)

    async def slow(*args: Any, **named: Any) -> Any:
        found = await step(*args, **named)
        if not asked:
            asked.append(asyncio.ensure_future(ask()))
            await met(control.rows, asked[0])
        return found

    monkeypatch.setattr(*where, slow)
    return asked


def give(giver: Viewer) -> Callable[[], Awaitable[httpx2.Response]]:
    """Sends vera what she could not give away again in one piece."""
    headers = {"Idempotency-Key": new_id("key")}
    return lambda: giver.http.post("/v1/wallet/transfers", json={"to": "vera", **AMOUNT}, headers=headers)


def gift(shop: Shop, giver: Viewer) -> Callable[[], Awaitable[httpx2.Response]]:
    """Buys vera the title."""
    order, headers = shop.order(gift_to="vera"), {"Idempotency-Key": new_id("key")}
    return lambda: giver.http.post(f"/v1/titles/{shop.title}/checkout", json=order, headers=headers)


async def test_who_gets_a_transfer_just_now_does_not_leave_it_behind(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    vera, otto = await shop.viewer(), await shop.viewer("otto", funds=1000)
    leaving = beside(monkeypatch, (AccountStore, "principal_named"), shop.control, lambda: leave(vera))
    sent = await give(otto)()
    ends = (sent.status_code, (await leaving[0]).status_code)
    # Either they left first and nothing was sent, or it was sent first and they stay.
    assert ends == (404, 204), ends
    assert await shop.amounts(f"wallet:{otto.id}", f"wallet:{vera.id}") == [1000, 0]


@pytest.mark.parametrize("what", ["transfer", "top-up", "referral", "refund"])
async def test_who_gets_money_just_now_does_not_leave_it_behind(
    control: Control, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    shop = await open_shop(control, price=20_000)
    admin, otto = await shop.viewer("ada", role="admin"), await shop.viewer("otto", funds=20_000)
    vera = await shop.viewer(funds=20_000 if what == "refund" else 0)
    ask: Callable[[], Awaitable[Any]]
    match what:
        case "transfer":
            ask = give(otto)
        case "top-up":
            top_up = await vera.ask("POST", "wallet/top-ups", 201, {**AMOUNT, "pay": NAME})
            await shop.hands.pay(ref_of(top_up), "approve")
            ask = shop.hear
        case "referral":
            code = (await vera.ask("PUT", "me/referral"))["code"]
            ask = partial(shop.bought, otto, referral=code)
        case _:
            bought = await shop.bought(vera)
            ask = partial(admin.ask, "POST", f"payments/{bought['id']}/refunds", 201, {"reason": "asked for"})
    leaving = beside(monkeypatch, (LedgerStore, "post"), control, lambda: leave(vera))
    await ask()
    assert code_of(await leaving[0]) == (409, "money-left")
    await shop.audit()


async def test_deletion_waits_for_who_gives_a_title(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    vera, otto = await shop.viewer(), await shop.viewer("otto", funds=500)
    waited = list[bool]()
    leaving = beside(monkeypatch, (LedgerStore, "post"), shop.control, lambda: leave(vera))
    give_right = EntitlementStore.give

    async def give_then(*args: Any, **named: Any) -> bool:
        waited.append(not leaving[0].done())
        return await give_right(*args, **named)

    monkeypatch.setattr(EntitlementStore, "give", give_then)
    await shop.bought(otto, gift_to="vera")
    assert (waited, (await leaving[0]).status_code) == ([True], 204)


@pytest.mark.parametrize("what", ["transfer", "gift"])
async def test_who_leaves_is_given_nothing_any_more(shop: Shop, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    vera, otto = await shop.viewer(), await shop.viewer("otto", funds=1000)
    ask = give(otto) if what == "transfer" else gift(shop, otto)
    giving = beside(monkeypatch, (WalletStore, "balances"), shop.control, ask)
    assert (await leave(vera)).status_code == 204
    assert code_of(await giving[0])[0] == 404
    assert await shop.amounts(f"wallet:{otto.id}", f"wallet:{vera.id}") == [1000, 0]
    assert await shop.rights(vera) == []


async def test_top_up_of_who_leaves_is_given_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    vera = await shop.viewer()
    top_up = await vera.ask("POST", "wallet/top-ups", 201, {"amount": 2000, "currency": "USD", "pay": NAME})
    await shop.hands.pay(ref_of(top_up), "approve")
    hearing = beside(monkeypatch, (WalletStore, "balances"), shop.control, shop.hear)
    assert (await leave(vera)).status_code == 204
    await hearing[0]
    assert await shop.amounts(f"wallet:{vera.id}", "refunds_clearing") == [0, 2000]
    await shop.audit()


async def test_owner_of_who_just_becomes_partner_stays(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    anna = await desk(shop.control, "anna")
    leaving = beside(
        monkeypatch, (PurchaseStore, "set_partners"), shop.control, lambda: leave(Viewer(anna.http, anna.me))
    )
    shares = {"items": [{"seller": "anna", "share_bp": 5000}]}
    await shop.owner.ask("PUT", f"titles/{shop.title}/partners", body=shares)
    assert code_of(await leaving[0]) == (409, "only-owner")


async def test_account_that_is_shut_out_is_given_nothing(shop: Shop) -> None:
    admin, otto = await shop.viewer("ada", role="admin"), await shop.viewer("otto", funds=1000)
    vera = await shop.viewer()
    await admin.ask("PUT", "admin/users/vera/disabled", body={"reason": "stolen cards"})
    assert code_of(await give(otto)()) == (409, "account-disabled")
    assert code_of(await gift(shop, otto)()) == (409, "account-disabled")
    assert await shop.amounts(f"wallet:{otto.id}", f"wallet:{vera.id}") == [1000, 0]


async def test_fee_keeps_what_was_for_a_referrer_who_left_before_the_payment(shop: Shop) -> None:
    rita, vera = await shop.viewer("rita"), await shop.viewer()
    code = (await rita.ask("PUT", "me/referral"))["code"]
    begun = await shop.bought(vera, pay=NAME, referral=code)
    assert (await leave(rita)).status_code == 204
    await shop.hands.pay(ref_of(begun), "approve")
    await shop.hear()
    assert (await vera.ask("GET", f"payments/{begun['id']}"))["state"] == "paid"
    assert await shop.amounts(f"wallet:{rita.id}", "platform_fee") == [0, 50]
    await shop.audit()


async def test_refund_to_the_wallet_of_who_left_is_refused_with_what_can_be_done(shop: Shop) -> None:
    admin, vera = await shop.viewer("ada", role="admin"), await shop.viewer(funds=500)
    purchase = await shop.bought(vera)
    assert (await leave(vera)).status_code == 204
    refused = await admin.send("POST", f"payments/{purchase['id']}/refunds", {"reason": "asked for"})
    assert code_of(refused) == (409, "buyer-left") and "outside of Usher" in refused.json()["detail"]
    assert await shop.amounts(f"wallet:{vera.id}") == [0]
    assert await shop.control.rows("select id from refund") == []


async def test_refund_to_a_card_of_who_left_goes_through(shop: Shop) -> None:
    admin, vera = await shop.viewer("ada", role="admin"), await shop.viewer()
    purchase = await shop.by_card(vera)
    assert (await leave(vera)).status_code == 204
    await admin.ask("POST", f"payments/{purchase['id']}/refunds", 201, {"reason": "asked for"})
