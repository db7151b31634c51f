"""The price box in a browser: with what an episode is sold, until when a title is shown, what one may buy besides."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import Open
from tests.e2e.shop.conftest import enter
from tests.e2e.shop.test_small_phone import FITS
from tests.support.market import sell, tell
from tests.support.shop import Shop, Viewer

SIZES = pytest.mark.parametrize("phone", [True, False], ids=["phone", "desk"])


async def look(page: Page, shots: Path | None, name: str) -> None:
    """The page fits, and is kept where somebody wants to see it."""
    assert await page.evaluate(FITS)
    if shots:
        width = await page.evaluate("innerWidth")
        await page.screenshot(path=shots / f"{name}-{width}.png", full_page=True)


@SIZES
async def test_episode_says_that_it_is_sold_with_its_series_and_offers_that_while_it_can_be_bought(
    shop: Shop, vera: Viewer, open_page: Open, shots: Path | None, phone: bool
) -> None:
    series = await shop.seller.title(kind="series", name="Seven Rivers", price_minor=2999)
    episode = await shop.seller.published(kind="episode", name="Source", parent_id=series["id"])
    page = await enter(await open_page(phone=phone), vera, "/")
    card = page.get_by_role("listitem").filter(has_text="Source")
    await expect(card).to_contain_text("In its series")
    await expect(page.get_by_text("Free", exact=True)).to_have_count(0)
    await look(page, shots, "shelf")

    box = page.get_by_role("region", name="How to watch")
    await page.goto(episode["watch_url"])
    await expect(page.locator(".facts")).to_contain_text("In its series")
    await expect(page.get_by_role("button", name="Play Source")).to_be_visible()
    await expect(page.locator("#buy")).to_be_hidden()
    await shop.owner.ask("POST", f"titles/{series['id']}/publish")
    await page.reload()
    await expect(box.get_by_label("Buy to keep: all of “Seven Rivers”")).to_be_checked()
    await look(page, shots, "episode")
    # A series has nothing to play of its own, and is sold all the same.
    await page.goto(series["watch_url"])
    await expect(page.get_by_role("button", name="Buy for $29.99")).to_be_visible()
    await sell(shop.control, vera.id, series["id"])
    await tell(shop.control)
    await page.goto(episode["watch_url"])
    await expect(page.get_by_role("region", name="Your right to watch")).to_contain_text("This is yours for good")


@SIZES
async def test_box_says_until_when_a_title_can_be_watched_before_it_is_bought(
    shop: Shop, vera: Viewer, open_page: Open, shots: Path | None, phone: bool
) -> None:
    end = shop.control.clock.now() + timedelta(days=2)
    await shop.owner.ask("PATCH", f"titles/{shop.title}", body={"window_until": end.isoformat()})
    path = (await vera.ask("GET", f"titles/{shop.title}"))["watch_url"]
    page = await enter(await open_page(phone=phone), vera, path)
    terms = page.locator("#buy-ways .way-terms")
    await expect(terms).to_contain_text("Watch as often as you like. It can be watched until ")
    await expect(terms).to_contain_text(str(end.year))
    await expect(terms).not_to_contain_text("for good")
    await look(page, shots, "window")
    await expect(page.get_by_role("button", name="Buy for $5.00")).to_be_visible()
    await shop.bought(vera)
    await tell(shop.control)
    await page.reload()
    await expect(page.locator("#buy-standing")).to_contain_text("This is yours. It can be watched until ")


async def test_who_has_one_view_is_offered_what_is_more(shop: Shop, vera: Viewer, open_page: Open) -> None:
    view = await shop.offers(kind="view", amount=100)
    rent = await shop.offers(kind="rent", hours=24, amount=200)
    await shop.bought(vera, offer=view["id"], version=view["version"])
    await tell(shop.control)
    path = (await vera.ask("GET", f"titles/{shop.title}"))["watch_url"]
    page = await enter(await open_page(), vera, path)
    await expect(page.locator("#buy-standing")).to_contain_text("You bought one view of this")
    await expect(page.locator("#buy-ways .way-name")).to_have_text(["Rent for 24 hours", "Buy to keep"])
    await shop.bought(vera, offer=rent["id"], version=rent["version"])
    await tell(shop.control)
    await page.reload()
    await expect(page.locator("#buy-standing")).to_contain_text("You rented this")
    await expect(page.locator("#buy-ways .way-name")).to_have_text(["Buy to keep"])


async def test_title_that_cannot_be_watched_any_more_is_not_sold(shop: Shop, vera: Viewer, open_page: Open) -> None:
    title, _ = await shop.seller.making(price_minor=700, name="Half")
    await shop.owner.ask("POST", f"titles/{title['id']}/publish")
    page = await enter(await open_page(), vera, title["watch_url"])
    await expect(page.get_by_role("button", name="Buy for $7.00")).to_be_visible()
    await shop.seller.queue(title["id"])
    await page.get_by_role("button", name="Buy for $7.00").click()
    await expect(page.locator("#buy")).to_contain_text("This title cannot be watched yet, so it is not for sale now.")
    await expect(page.locator("#buy-form")).to_be_hidden()
    await page.reload()
    await expect(page.get_by_text("Not ready yet").or_(page.get_by_role("button", name="Play Half"))).to_be_visible()
    await expect(page.locator("#buy")).to_be_hidden()
    assert await shop.amounts(f"wallet:{vera.id}") == [2000]
