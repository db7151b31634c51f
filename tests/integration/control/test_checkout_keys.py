"""The key of a purchase by a provider: the same request goes on with it, another one begins something else."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.control.checkout import actions as checkout
from gateway.control.checkout.model import OPEN_FOR
from gateway.control.idempotency.model import KEPT_S
from gateway.control.worker import process
from shared.errors import ProviderUnavailable
from tests.support.control import code_of
from tests.support.shop import Shop, Viewer, ref_of


async def states(shop: Shop) -> list[str]:
    """Of all purchases, in the order of the alphabet."""
    return [row["state"] for row in await shop.control.rows("select state from purchase order by state")]


async def unanswered(shop: Shop, viewer: Viewer, patch: pytest.MonkeyPatch) -> None:
    """A checkout with the key `once` while the provider is away."""

    async def lost(order: object) -> None:
        raise ProviderUnavailable

    with patch.context() as away:
        away.setattr(shop.hands.provider, "start", lost)
        answer = await viewer.http.post(
            f"/v1/titles/{shop.title}/checkout", json=shop.order(pay="sandbox"), headers={"Idempotency-Key": "once"}
        )
        assert answer.status_code == 503


async def dearer(shop: Shop) -> tuple[str, dict[str, Any]]:
    """The path of another title's checkout, and an order of it by card at 7.00."""
    title = (await shop.seller.published(price_minor=700, name="Dearer"))["id"]
    offer = (await shop.seller.ask("GET", f"titles/{title}/offers"))["items"][0]
    return f"titles/{title}/checkout", {"offer": offer["id"], "version": offer["version"], "pay": "sandbox"}


async def test_purchase_whose_process_died_before_the_provider_answered_comes_to_an_end(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    vera = await shop.viewer()
    await unanswered(shop, vera, monkeypatch)
    assert await states(shop) == ["new"]
    # The same request again goes on with it.
    begun = (await shop.buy(vera, pay="sandbox", key="once")).json()
    assert begun["url"] and await states(shop) == ["new"]
    await shop.control.rows("update purchase set provider_ref = null, url = ''")
    shop.control.clock.advance(OPEN_FOR.total_seconds())
    await checkout.look_after(shop=shop.wired)
    assert await states(shop) == ["expired"]
    assert (await shop.hands.provider.find(ref_of(begun))).state == "voided"


async def test_key_of_a_checkout_that_was_not_answered_buys_what_the_next_request_asks_for(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    vera, (path, order) = await shop.viewer(), await dearer(shop)
    await unanswered(shop, vera, monkeypatch)
    begun = (await vera.send("POST", path, order, key="once")).json()
    assert (begun["offer"], begun["amount"], begun["state"]) == (order["offer"], 700, "new")
    assert (await shop.buy(vera, key="once")).status_code == 422


async def test_key_of_a_checkout_by_card_that_was_not_answered_buys_by_wallet(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    vera = await shop.viewer(funds=500)
    await unanswered(shop, vera, monkeypatch)
    assert (await shop.buy(vera, key="once")).json()["state"] == "paid"
    assert await states(shop) == ["expired", "paid"] and await shop.amounts(f"wallet:{vera.id}") == [0]


async def test_key_whose_answer_is_forgotten_buys_what_the_next_request_asks_for(shop: Shop) -> None:
    vera, (path, order) = await shop.viewer(), await dearer(shop)
    first = (await shop.buy(vera, pay="sandbox", key="once")).json()
    await shop.hands.pay(ref_of(first), "approve")
    await shop.hear()
    for way, asked, expected in (
        (f"titles/{shop.title}/checkout", shop.order(pay="sandbox"), (500, "paid")),
        (path, order, (700, "new")),
    ):
        shop.control.clock.advance(KEPT_S + 1)
        await process.sweep(shop.control.wiring)
        found = (await vera.send("POST", way, asked, key="once")).json()
        assert (found["offer"], found["amount"], found["state"]) == (asked["offer"], *expected)


async def test_key_of_a_top_up_that_was_refused_tops_up_by_what_the_next_request_asks_for(shop: Shop) -> None:
    vera = await shop.viewer()
    answers = [
        await vera.send("POST", "wallet/top-ups", {"amount": amount, "currency": "USD"}, key="once")
        for amount in (20, 20, 2000)
    ]
    assert [answer.status_code for answer in answers] == [422, 422, 201]
    assert (answers[2].json()["amount"], answers[2].json()["state"]) == (2000, "new")
    assert await states(shop) == ["failed", "new"]


async def test_key_of_a_refund_gives_back_once_also_when_its_answer_is_forgotten(shop: Shop) -> None:
    admin, vera = await shop.viewer("ada", role="admin"), await shop.viewer(funds=500)
    purchase = (await shop.bought(vera))["id"]
    path, order = f"payments/{purchase}/refunds", {"reason": "asked for", "amount": 100}
    assert [(await admin.send("POST", path, order, key="once")).status_code for _ in range(2)] == [201, 201]
    for _ in range(2):
        shop.control.clock.advance(KEPT_S + 1)
        await process.sweep(shop.control.wiring)
        assert code_of(await admin.send("POST", path, order, key="once")) == (409, "refunded-already")
    assert await shop.amounts(f"wallet:{vera.id}", "platform_fee") == [100, 40]
    assert [one["amount"] for one in (await admin.ask("GET", "admin/refunds"))["items"]] == [100]
    await shop.audit()
    assert (await admin.send("POST", path, order, key="twice")).status_code == 201
