"""A seller's account at a payment provider in a browser: asked for, opened there, gone on with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from shared.settings import ControlSettings
from tests.e2e.conftest import Open
from tests.e2e.shop.conftest import enter
from tests.fakes.stripe_server import StripeServer, stripe_server
from tests.support.shop import Shop
from tests.support.till import with_stripe


@pytest.fixture
async def stripe() -> AsyncIterator[StripeServer]:
    """A Stripe of the test's own."""
    async with stripe_server() as server:
        yield server


@pytest.fixture
def settings(settings: ControlSettings, stripe: StripeServer) -> ControlSettings:
    """Settings of a shop that is paid by it."""
    return with_stripe(settings, stripe)


async def test_seller_opens_an_account_at_the_provider_and_goes_on_with_it(
    shop: Shop, stripe: StripeServer, open_page: Open
) -> None:
    page = await enter(await open_page(phone=True), shop.owner, "/payouts")
    panel = page.get_by_role("region", name="Paid at once by the provider")
    await expect(panel).to_contain_text("Not opened")
    await panel.get_by_label("Country").fill("kp")
    await panel.get_by_role("button", name="Open an account at Stripe").click()
    await expect(panel.get_by_role("alert")).to_contain_text("Country is not supported.")
    await panel.get_by_label("Country").fill("de")
    await panel.get_by_role("button", name="Open an account at Stripe").click()
    await page.wait_for_url(f"{stripe.url}/onboard/**")
    (account,) = stripe.folders["accounts"].values()
    assert account["country"] == "DE"
    await page.goto("/payouts")
    await expect(panel).to_contain_text("Not complete")
    await panel.get_by_role("button", name="Go on with it").click()
    await page.wait_for_url(f"{stripe.url}/onboard/**")
    assert list(stripe.folders["accounts"].values()) == [account]
