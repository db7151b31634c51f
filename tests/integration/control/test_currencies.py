"""Currencies that nobody foresaw: what a provider took or kept in one is booked in it."""

from __future__ import annotations

from gateway.control.checkout import actions as checkout
from shared.clock import ManualClock
from shared.settings import ControlSettings
from tests.support.shop import open_shop
from tests.support.till import open_till


async def test_sale_whose_fee_is_in_a_currency_of_which_nothing_was_ever_booked_is_booked(
    settings: ControlSettings, clock: ManualClock
) -> None:
    async with open_till(settings, clock) as till:
        shop = await open_shop(till.control)
        vera = await shop.viewer()
        purchase = await shop.bought(vera, pay="stripe")
        rows = await till.control.rows("select provider_ref from purchase where id = $1", purchase["id"])
        await till.hands.pay(rows[0]["provider_ref"], "approve")
        (entry,) = till.hands.server.folders["balance"].values()
        entry |= {"currency": "huf"}
        for one in await till.hands.webhooks():
            assert await till.send(one) == 204
        await till.work(settle=checkout.booking(shop.wired))
        assert await till.control.rows("select outcome from provider_event where handled_at is null") == []
        assert (await vera.ask("GET", f"payments/{purchase['id']}"))["state"] == "paid"
        assert await shop.rights(vera) == ["own"]
        kept = "select asset from ledger_account where code = 'rail_fee:stripe'"
        assert [row["asset"] for row in await till.control.rows(kept)] == ["HUF"]
        assert await till.control.rows("select decimals from asset where code = 'HUF'") == [{"decimals": 2}]
        await shop.audit()
