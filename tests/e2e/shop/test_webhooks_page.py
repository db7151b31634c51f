"""A seller's webhooks in a browser: an endpoint, its secret that is shown once, what was sent to it, its end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace
from playwright.async_api import Route, expect

from shared.settings import ControlSettings
from tests.e2e.conftest import Open
from tests.e2e.shop.conftest import enter
from tests.e2e.shop.test_late_answers import come, held
from tests.e2e.shop.test_small_phone import FITS, photograph
from tests.support.receivers import is_signed, postbox, receiver
from tests.support.shop import Shop


@pytest.fixture
def settings(settings: ControlSettings) -> ControlSettings:
    """Settings under which webhooks may be sent to this machine."""
    return replace(settings, webhooks_loopback=True)


async def test_seller_adds_an_endpoint_tries_it_has_a_webhook_sent_again_and_removes_it(
    shop: Shop, open_page: Open, shots: Path | None
) -> None:
    async with receiver(statuses=[500]) as hooks, postbox(shop.control) as box:
        page = await enter(await open_page(phone=True), shop.owner, "/studio")
        await page.get_by_role("link", name="Webhooks").click()
        await expect(page.get_by_text("No endpoint yet")).to_be_visible()
        await page.get_by_label("Address").fill("http://10.0.0.1/hooks")
        await page.get_by_role("button", name="Add the endpoint").click()
        await expect(page.get_by_role("alert").filter(has_text="sent by HTTPS alone")).to_be_visible()
        await page.get_by_label("Address").fill(hooks.url)
        await page.get_by_label("Purchases").check()
        await page.get_by_role("button", name="Add the endpoint").click()

        card = page.get_by_role("article", name=hooks.url)
        await expect(card).to_contain_text("Told of: Purchases")
        shown = card.get_by_label("Secret", exact=True)
        secret = await shown.input_value()
        if shots:
            await photograph(page, shots, "studio-webhooks-new")
        await card.get_by_role("button", name="I have it").click()
        await expect(shown).to_have_count(0)

        await card.get_by_role("button", name="Send a test").click()
        sent = card.get_by_role("table", name="What was sent").get_by_role("row").filter(has_text="Test")
        await expect(sent).to_contain_text("Waits")
        await box.turn()
        await expect(sent).to_contain_text("It answered 500")
        shop.control.clock.advance(5)
        await box.turn()
        await expect(sent).to_contain_text("Taken")
        await sent.get_by_role("button", name="Send again").click()
        await expect(sent).to_contain_text("Waits")
        await box.turn()
        await expect(sent).to_contain_text("Taken")
        assert len(hooks.got) == 3 and len(set(hooks.ids)) == 1
        assert all(is_signed(secret, headers, body) for headers, body in hooks.got)
        assert await page.evaluate(FITS)
        if shots:
            await photograph(page, shots, "studio-webhooks")

        await card.get_by_role("button", name="New secret …").click()
        await page.get_by_role("dialog").get_by_role("button", name="Draw a new one").click()
        assert await shown.input_value() not in ("", secret)
        await page.reload()
        await expect(card).to_be_visible()
        await expect(shown).to_have_count(0)
        await card.get_by_role("button", name="Remove …").click()
        await page.get_by_role("dialog").get_by_role("button", name="Remove it").click()
        await expect(page.get_by_text("No endpoint yet")).to_be_visible()
    assert (await shop.owner.ask("GET", "webhook-endpoints?seller=studio"))["items"] == []


async def test_secret_stays_when_the_endpoints_from_before_come_after_it(shop: Shop, open_page: Open) -> None:
    one, two = "https://one.example/hooks", "https://two.example/hooks"
    await shop.owner.ask("POST", "webhook-endpoints", 201, {"url": one, "seller": shop.seller.seller["handle"]})
    page = await open_page()
    released = await held(page, "**/v1/webhook-endpoints?*")
    await enter(page, shop.owner, "/studio/webhooks")
    await page.get_by_label("Address").fill(two)
    await page.get_by_role("button", name="Add the endpoint").click()
    shown = page.get_by_role("article", name=two).get_by_label("Secret", exact=True)
    await expect(shown).to_be_focused()
    await come(page, "**/v1/webhook-endpoints?*", released)
    await expect(page.get_by_role("article")).to_have_count(2)
    await expect(page.get_by_role("article").first).to_have_accessible_name(one)
    await expect(shown).to_be_focused()
    assert (await shown.input_value()).startswith("whsec_")


async def test_what_was_sent_is_followed_past_a_failure_beside_what_is_older(shop: Shop, open_page: Open) -> None:
    endpoint = {"url": "https://one.example/hooks", "seller": shop.seller.seller["handle"]}
    made = await shop.owner.ask("POST", "webhook-endpoints", 201, endpoint)
    for _ in range(2):
        await shop.owner.ask("POST", f"webhook-endpoints/{made['id']}/test", 202)
    newer, older = (await shop.owner.ask("GET", f"webhook-endpoints/{made['id']}/deliveries"))["items"]
    older |= {"state": "dead", "words": "It answered 500."}
    is_busy = False

    async def answer(route: Route) -> None:
        items, following = ([older], "more") if "before" in route.request.url else ([newer], "next")
        if is_busy:
            await route.fulfill(status=503, json={"detail": "The server is busy."})
        else:
            await route.fulfill(json={"items": items, "next": following})

    page = await open_page()
    await page.route("**/deliveries*", answer)
    await enter(page, shop.owner, "/studio/webhooks")
    more, rows = page.get_by_role("button", name="Show older ones"), page.locator("tbody").get_by_role("row")
    await page.get_by_text("What was sent").click()
    await expect(rows).to_have_count(1)
    is_busy = True
    await asyncio.gather(expect(page.locator("#toasts")).to_contain_text("busy"), more.click())
    await expect(rows).to_have_count(1)
    is_busy = False
    await more.click()
    await expect(rows).to_have_count(2)
    await expect(more).to_be_focused()
    newer["state"] = "sent"
    await expect(rows.first).to_contain_text("Taken")
    await expect(rows).to_have_count(2)
    await expect(more).to_be_focused()
