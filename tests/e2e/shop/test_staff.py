"""Pages of the shop for those who work in it: what each may do, whose days are meant, what states and refusals say."""

from __future__ import annotations

from datetime import timedelta, timezone

from playwright.async_api import Browser, expect

from shared import jobs as farm
from tests.e2e.conftest import Open
from tests.e2e.shop.conftest import enter
from tests.support.shop import Shop, Viewer
from tests.support.titles import say

#: Places at both ends of a day: at any moment, one of them has another day than UTC.
PLACES = {"Pacific/Kiritimati": 14, "Pacific/Pago_Pago": -11}


async def test_studio_shows_what_may_be_done_and_what_can_be_watched_and_plain_words_for_the_rest(
    shop: Shop, open_page: Open
) -> None:
    eve, handle = await shop.viewer("eve"), shop.seller.seller["handle"]
    await shop.owner.ask("PUT", f"sellers/{handle}/members/eve", 204, {"role": "editor"})
    title, job = await shop.seller.making()
    await shop.owner.ask("POST", f"titles/{title['id']}/publish")
    page = await enter(await open_page(phone=True), eve, f"/studio/{title['id']}")
    partners = page.get_by_role("region", name="Partners")
    await expect(partners).to_contain_text("Only owners of the seller change the shares.")
    await expect(partners.get_by_role("button")).to_have_count(0)
    await expect(page.get_by_role("region", name="Viewers you let in")).to_have_count(0)
    await expect(page.get_by_role("button", name="Add an offer")).to_be_visible()

    await expect(page.get_by_role("main").get_by_text("Published", exact=True)).to_be_visible()
    words = "The picture has an absurd size."
    await say(shop.control, farm.Failed(job.id, "0", "absurd", words, final=True, version="v1"))
    await expect(page.get_by_text("This file cannot be taken.")).to_be_visible()
    await expect(page.get_by_role("button", name="Upload another file")).to_be_visible()
    await expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    await expect(page.get_by_text("Published, not watchable")).to_be_visible()

    await page.goto("/earnings")
    await expect(page.get_by_role("main")).to_contain_text("are not part of your role there")
    await expect(page.get_by_role("navigation", name="Selling").get_by_role("link")).to_have_text(["Titles", "Coupons"])


async def test_title_of_another_seller_has_no_desk(shop: Shop, vera: Viewer, open_page: Open) -> None:
    page = await enter(await open_page(), vera, f"/studio/{shop.title}")
    await expect(page.get_by_role("heading", name="Not yours to see")).to_be_visible()
    await expect(page.get_by_role("link", name="Watch page")).to_be_visible()
    await expect(page.get_by_role("region")).to_have_count(0)


async def test_payments_of_a_day_are_those_of_the_readers_own_day(
    shop: Shop, vera: Viewer, admin: Viewer, browser: Browser
) -> None:
    await shop.bought(vera)
    now = shop.control.clock.now()
    days = {place: now.astimezone(timezone(timedelta(hours=ahead))).date() for place, ahead in PLACES.items()}
    place, day = next((place, day) for place, day in days.items() if day != now.date())
    context = await browser.new_context(base_url=shop.control.settings.public_origin, timezone_id=place)
    page = await enter(await context.new_page(), admin, f"/admin/payments?since={day}&until={day}")
    await expect(page.get_by_text(f"your time zone, {place}")).to_be_visible()
    row = page.get_by_role("table", name="Payments").get_by_role("row").filter(has_text="The Long Way")
    await expect(row).to_contain_text("Wallet")
    before = str(day - timedelta(days=1))
    await page.get_by_label("From").fill(before)
    await page.get_by_label("To", exact=True).fill(before)
    await expect(page.get_by_text("No payments found")).to_be_visible()
    assert page.url.endswith(f"since={before}&until={before}")
    await context.close()


async def test_day_whose_midnight_does_not_exist_ends_at_the_next_one(shop: Shop, browser: Browser) -> None:
    origin = shop.control.settings.public_origin
    context = await browser.new_context(base_url=origin, timezone_id="Africa/Cairo")
    page = await context.new_page()
    await page.goto("/login")
    said = "async () => [0, 1].map((await import('/static/js/dates.js')).dayBegins.bind(null, '2026-04-24'))"
    assert await page.evaluate(said) == ["2026-04-23T22:00:00.000Z", "2026-04-24T21:00:00.000Z"]
    await context.close()


async def test_day_in_the_address_that_the_api_does_not_take_is_left_out(
    shop: Shop, vera: Viewer, admin: Viewer, open_page: Open
) -> None:
    await shop.bought(vera)
    page = await enter(await open_page(), admin, "/admin/payments?until=12026-01-01")
    await expect(page.get_by_role("table", name="Payments")).to_contain_text("The Long Way")
    assert page.url.endswith("/admin/payments")
