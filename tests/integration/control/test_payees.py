"""Sellers' accounts at Stripe: opened once, led through its page, followed by webhooks, seen by members alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.control.payees import actions
from shared.clock import ManualClock
from shared.settings import ControlSettings
from tests.support.control import code_of, make_seller, register
from tests.support.till import Till, open_till

PATH = "/v1/sellers/films/payees"


@pytest.fixture
async def till(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Till]:
    """A control plane with a fake Stripe, and a seller that is logged in."""
    async with open_till(settings, clock) as made:
        await register(made.control.http, "ada")
        await make_seller(made.control.http, "films")
        yield made


async def onboard(till: Till, country: str = "US") -> str:
    """The link to the provider's page."""
    answer = await till.control.http.post(f"{PATH}/stripe", json={"country": country})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["url"])


async def test_seller_opens_one_account_and_may_be_paid_once_stripe_says_so(till: Till) -> None:
    first, second = await onboard(till), await onboard(till)
    assert first != second and len(till.hands.server.folders["accounts"]) == 1
    found = (await till.control.http.get(PATH)).json()
    (payee,), providers = found["items"], found["providers"]
    assert providers == ["stripe"]
    assert (payee["can_charge"], payee["can_be_paid"], payee["missing"]) == (False, False, [])
    account, seller = payee["account"], payee["seller"]

    async def usable() -> str:
        async with till.control.wiring["begin"]() as unit:
            return await actions.account_for(seller, "stripe", payees=unit.payees)

    assert await usable() == ""
    till.hands.server.onboard(account)
    await till.hear()
    assert await usable() == account
    assert (await till.control.http.get(PATH)).json()["items"][0]["can_be_paid"] is True
    told = {"seller": seller, "provider": "stripe", "can_charge": True, "can_be_paid": True}
    assert [one["data"] for one in await till.control.events("seller.payee")] == [told]
    found = till.hands.server.of("accounts", account)
    found |= {"charges_enabled": False, "requirements": {"currently_due": ["individual.id_number"]}}
    till.hands.server.events[0]["id"] = "evt_later"
    await till.hear()
    assert await usable() == ""
    assert (await till.control.http.get(PATH)).json()["items"][0]["missing"] == ["individual.id_number"]


async def test_account_of_nobody_here_is_done_with(till: Till) -> None:
    account = await till.hands.provider.open_account("slr_else", "US")
    till.hands.server.onboard(account)
    await till.hear()
    assert [row["outcome"] for row in await till.control.rows("select outcome from provider_event")] == ["gone"]


async def test_only_members_see_accounts_and_only_owners_open_them(till: Till) -> None:
    await onboard(till)
    stranger = till.control.browser()
    await register(stranger, "eve")
    assert code_of(await stranger.get(PATH))[0] == 403
    assert code_of(await stranger.post(f"{PATH}/stripe", json={"country": "US"}))[0] == 403
    joined = await till.control.http.put("/v1/sellers/films/members/eve", json={"role": "uploader"})
    assert joined.status_code in (200, 204)
    assert (await stranger.get(PATH)).status_code == 200
    assert code_of(await stranger.post(f"{PATH}/stripe", json={"country": "US"}))[0] == 403
    assert code_of(await till.control.browser().get(PATH)) == (401, "unauthenticated")


async def test_wrong_country_provider_and_seller_are_refused(till: Till) -> None:
    post = till.control.http.post
    for country in ("usa", "us", "", "U1", "US\n"):
        assert code_of(await post(f"{PATH}/stripe", json={"country": country})) == (422, "invalid")
    assert code_of(await post(f"{PATH}/stripe", json={"country": "KP"})) == (422, "invalid")
    assert code_of(await post(f"{PATH}/sandbox", json={"country": "US"})) == (409, "no-seller-accounts")
    assert code_of(await post(f"{PATH}/nobody", json={"country": "US"})) == (404, "not-found")
    assert code_of(await post("/v1/sellers/none/payees/stripe", json={"country": "US"})) == (404, "not-found")
    assert till.hands.server.folders["accounts"] == {}
    assert await onboard(till, "DE")


async def test_of_accounts_that_are_opened_at_once_in_two_countries_one_is_kept(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    met, open_account = asyncio.Barrier(2), till.hands.provider.open_account

    async def together(seller: str, country: str) -> str:
        await met.wait()
        return await open_account(seller, country)

    monkeypatch.setattr(till.hands.provider, "open_account", together)
    links = await asyncio.gather(onboard(till, "US"), onboard(till, "DE"))
    assert len(till.hands.server.folders["accounts"]) == 2
    (payee,) = (await till.control.http.get(PATH)).json()["items"]
    assert all(payee["account"] in link for link in links)


async def test_stripe_that_is_away_is_told_and_asked_again(till: Till) -> None:
    till.hands.server.fail("429")
    answer = await till.control.http.post(f"{PATH}/stripe", json={"country": "US"})
    assert code_of(answer) == (503, "provider-unavailable") and answer.headers["retry-after"]
    assert await onboard(till)
