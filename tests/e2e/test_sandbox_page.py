"""The sandbox's pay page in a browser: a declined card, the bank's question, paying, leaving; desk and phone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from gateway.control.sandbox.model import CARDS
from shared.clock import ManualClock
from shared.settings import ControlSettings
from tests.e2e.conftest import DESK, PHONE
from tests.support.control import Control
from tests.support.providers import order
from tests.support.served import served

NUMBERS = {card: number for number, card in CARDS.items()}


@pytest.fixture
async def shop(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Control]:
    """A control plane that browsers reach."""
    async with served(settings, clock) as control:
        yield control


async def begun(shop: Control, id: str) -> tuple[str, str]:
    """The pay page of a new payment, and its ref."""
    provider = shop.wiring["providers"].named("sandbox")
    started = await provider.start(order(id, return_url=f"{shop.settings.public_origin}/docs#paid"))
    return started.url, started.provider_ref


async def state(shop: Control, ref: str) -> str:
    """What became of a payment."""
    return (await shop.wiring["providers"].named("sandbox").find(ref)).state


async def pay(page: Page, card: str) -> None:
    """Take a test card from the list and pay."""
    await page.get_by_role("button", name=f"Use {' '.join(NUMBERS[card][i : i + 4] for i in range(0, 16, 4))}").click()
    await page.get_by_role("button", name="Pay", exact=True).click()


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
async def test_payer_is_declined_asked_by_the_bank_and_pays(
    shop: Control, browser: Browser, shots: Path | None, phone: bool
) -> None:
    context = await browser.new_context(**(PHONE if phone else DESK))
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    url, ref = await begun(shop, "pch_1")
    await page.goto(url)
    await expect(page.get_by_text("$12.50")).to_be_visible()
    await expect(page.get_by_text("A film & <more>")).to_be_visible()
    await pay(page, "decline")
    await expect(page.get_by_role("alert")).to_contain_text("declined")
    if shots:
        await page.screenshot(path=shots / f"sandbox-{'phone' if phone else 'desk'}.png", full_page=True)
    fits = await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert fits
    await pay(page, "secure")
    await page.get_by_role("button", name="It is not me").click()
    await expect(page.get_by_role("alert")).to_contain_text("did not recognise")
    assert await state(shop, ref) == "open"
    await pay(page, "secure")
    await page.get_by_role("button", name="It is me").click()
    await page.wait_for_url("**/docs#paid")
    assert await state(shop, ref) == "paid"
    assert errors == []
    await context.close()


async def test_payer_who_leaves_comes_back_and_a_wrong_number_is_told(shop: Control, browser: Browser) -> None:
    page = await (await browser.new_context(**DESK)).new_page()
    url, ref = await begun(shop, "pch_2")
    await page.goto(url)
    await page.get_by_label("Card number").fill("1234")
    await page.get_by_role("button", name="Pay", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("knows only its test cards")
    await page.get_by_role("button", name="Cancel and go back").click()
    await page.wait_for_url("**/docs#paid")
    assert await state(shop, ref) == "voided"
    await page.goto(url)
    await expect(page.get_by_text("This payment was given up")).to_be_visible()
    await page.context.close()


async def test_payment_that_takes_its_time_is_looked_at_again_when_a_look_failed(
    shop: Control, browser: Browser
) -> None:
    page = await (await browser.new_context(**DESK)).new_page()
    url, _ = await begun(shop, "pch_3")
    await page.goto(url)
    await pay(page, "slow")
    await expect(page.get_by_text("Your bank takes its time")).to_be_visible()
    looks = f"**/v1/sandbox/payments/{url.rsplit('/', 1)[1]}"
    await page.route(looks, lambda route: route.abort(), times=1)
    await expect(page.get_by_role("alert")).to_contain_text("no connection")
    async with page.expect_response(looks) as again:
        await expect(page.get_by_role("alert")).to_be_hidden()
    assert (await again.value).ok
    await page.context.close()
