"""Selling and running the platform in a browser: prices and live sales, refunds and their trail, withdrawals."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from playwright.async_api import Locator, Page, Route, expect

from shared.clock import ManualClock
from shared.settings import ControlSettings
from tests.e2e.conftest import Open
from tests.support.control import running_control
from tests.support.ports import free_port
from tests.support.served import served
from tests.support.shop import Shop, Viewer, open_shop
from tests.support.titles import desk

NARROW = {"width": 360, "height": 740}
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


@pytest.fixture
async def shop(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Shop]:
    """A title at 5.00 in a control plane that browsers reach."""
    port = free_port()
    own = replace(settings, public_origin=f"http://127.0.0.1:{port}")
    async with running_control(own, clock) as control, served(control, port):
        yield await open_shop(control)


@pytest.fixture
def stack(shop: Shop) -> SimpleNamespace:
    """Where pages are."""
    return SimpleNamespace(addresses={"control": shop.control.settings.public_origin})


@pytest.fixture
async def admin(shop: Shop) -> Viewer:
    """Somebody who runs the platform."""
    return await shop.viewer("ada", role="admin")


@pytest.fixture
async def vera(shop: Shop) -> Viewer:
    """A viewer with 20.00."""
    return await shop.viewer("vera", funds=2000)


async def enter(page: Page, who: Viewer, path: str) -> Page:
    """A page as somebody who is logged in sees it."""
    cookies: Any = [
        {"name": name, "value": value, "url": str(who.http.base_url)} for name, value in who.http.cookies.items()
    ]
    await page.context.add_cookies(cookies)
    await page.goto(path)
    return page


def tile(page: Page, words: str) -> Locator:
    """A figure that stands on its own."""
    return page.locator(".tile").filter(has=page.get_by_text(words, exact=True))


async def test_seller_sets_a_price_and_sees_the_sale_with_its_fee_when_it_comes(
    shop: Shop, vera: Viewer, open_page: Open, tmp_path: Path
) -> None:
    page = await enter(await open_page(), shop.owner, f"/studio/{shop.title}")
    offers = page.get_by_role("region", name="Offers")
    await offers.get_by_role("button", name="Add an offer").click()
    await offers.get_by_label("Kind").select_option("Rent for 24 hours")
    await offers.get_by_label("Price", exact=True).fill("0.10")
    await expect(offers.get_by_role("alert").filter(has_text="each such sale loses")).to_be_visible()
    await offers.get_by_role("button", name="Offer it").click()
    await expect(offers.get_by_role("alert").filter(has_text="Tick the box below")).to_be_visible()
    await offers.get_by_label("Price", exact=True).fill("8.00")
    await expect(offers.get_by_text("Of $8.00 you get $7.20, the portal $0.80.")).to_be_visible()
    await offers.get_by_role("button", name="Offer it").click()
    await expect(offers.get_by_role("listitem").filter(has_text="Rent for 24 hours")).to_contain_text("$8.00")
    listed = (await shop.owner.ask("GET", f"titles/{shop.title}/offers"))["items"]
    rent = next(one for one in listed if one["kind"] == "rent")

    await page.goto("/earnings")
    await expect(page.get_by_text("Nothing sold in this time")).to_be_visible()
    await expect(tile(page, "Pending")).to_contain_text("$0.00")
    await shop.bought(vera, offer=rent["id"], version=rent["version"])
    await expect(tile(page, "Pending")).to_contain_text("$7.20")
    sold = page.get_by_role("table", name="Sales by title").get_by_role("row").filter(has_text="The Long Way")
    await expect(sold.get_by_role("cell")).to_have_text(["1", "0", "$8.00", "$0.80", "$7.20"])
    await expect(page.locator(".chart canvas")).to_be_visible()
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Export as CSV").click()
    await (await download.value).save_as(tmp_path / "sales.csv")
    lines = (tmp_path / "sales.csv").read_text().splitlines()
    assert lines[-1] == "title,The Long Way,1,0,8.00,0.80,0.00,7.20,USD"


async def test_admin_gives_back_with_a_reason_that_stands_in_the_audit_trail(
    shop: Shop, vera: Viewer, admin: Viewer, open_page: Open
) -> None:
    await shop.bought(vera)
    page = await enter(await open_page(), admin, "/admin/payments")
    await page.get_by_role("row").filter(has_text="The Long Way").get_by_role("link").first.click()
    await page.get_by_role("button", name="Give it back …").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Amount in USD").fill("2.00")
    await dialog.get_by_label("Reason").fill("The sound <b>broke</b>")
    await dialog.get_by_role("button", name="Give it back").click()
    refunds = page.get_by_role("table", name="Refunds").get_by_role("row").filter(has_text="The sound <b>broke</b>")
    await expect(refunds).to_contain_text("$2.00")
    posted = page.get_by_role("table", name="Postings").get_by_role("row").filter(has_text="platform_fee")
    await expect(posted.last).to_contain_text("−$0.20")

    await refunds.get_by_role("link").click()
    entry = page.get_by_role("table", name="Audit trail").get_by_role("row").filter(has_text="payment:refund")
    await expect(entry).to_contain_text("ada")
    await expect(entry).to_contain_text("The sound <b>broke</b>")
    await expect(entry).to_contain_text("amount: $2.00")
    await expect(entry).to_contain_text("127.0.0.0/24")


async def test_withdrawal_is_asked_for_by_its_terms_approved_and_paid(
    shop: Shop, admin: Viewer, open_page: Open
) -> None:
    await shop.books.fund(20_000, f"earnings__{shop.seller.seller['id']}", asset="USD")
    office = await enter(await open_page(), admin, "/admin/payouts")
    await office.get_by_role("button", name="Set terms …").click()
    terms = office.get_by_role("dialog")
    await terms.get_by_label("At least").fill("10.00")
    await terms.get_by_label("Days it waits").fill("0")
    await terms.get_by_role("button", name="Save").click()
    await expect(office.get_by_role("table", name="Terms")).to_contain_text("$10.00")

    page = await enter(await open_page(phone=True), shop.owner, "/payouts")
    await expect(page.get_by_text("$10.00 at least. It is paid without a wait")).to_be_visible()
    await page.get_by_label("Amount").fill("9.99")
    await page.get_by_role("button", name="Ask for it").click()
    await expect(page.get_by_role("alert").filter(has_text="10.00 USD is paid out at least")).to_be_visible()
    await page.get_by_label("Amount").fill("25")
    await page.get_by_role("button", name="Ask for it").click()
    asked = page.get_by_role("table", name="Withdrawals").get_by_role("row").filter(has_text="$25.00")
    await expect(asked).to_contain_text("Asked for")
    await expect(tile(page, "On its way")).to_contain_text("$25.00")

    await office.reload()
    await expect(office.get_by_role("row").filter(has_text="$25.00")).to_contain_text(shop.seller.seller["handle"])
    await office.get_by_role("button", name="Approve $25.00").click()
    await office.get_by_role("button", name="Mark $25.00 as paid").click()
    paid = office.get_by_role("dialog")
    await paid.get_by_label("Reference").fill("T-4711")
    await paid.get_by_role("button", name="It is paid").click()
    await expect(office.get_by_text("Nothing waits")).to_be_visible()
    await expect(asked).to_contain_text("Paid out")
    await expect(asked).to_contain_text("reference T-4711")


async def test_seller_makes_a_coupon_shares_with_a_partner_and_blocks_a_viewer(
    shop: Shop, vera: Viewer, open_page: Open
) -> None:
    await desk(shop.control, "crew")
    page = await enter(await open_page(), shop.owner, "/studio/coupons")
    await page.get_by_label("Code").fill("spring-1")
    await page.get_by_label("Takes off").fill("12.5")
    await page.get_by_role("button", name="Make the coupon").click()
    await expect(page.get_by_role("alert").filter(has_text="whole percentage")).to_be_visible()
    await page.get_by_label("Takes off").fill("1.50")
    await page.get_by_label("Percent, or a currency").select_option("USD")
    await page.get_by_role("button", name="Make the coupon").click()
    await expect(page.get_by_role("table", name="Coupons")).to_contain_text("$1.50")
    await page.get_by_role("button", name="Take back spring-1").click()
    await page.get_by_role("dialog").get_by_role("button", name="Take back").click()
    await expect(page.get_by_role("table", name="Coupons")).to_contain_text("Taken back")

    await page.get_by_role("link", name="Blocked viewers").click()
    await page.get_by_label("User name").fill("vera")
    await page.get_by_role("button", name="Block them").click()
    await expect(page.get_by_role("button", name="Serve vera again")).to_be_visible()
    assert (await shop.buy(vera)).status_code == 403

    await page.goto(f"/studio/{shop.title}")
    partners = page.get_by_role("region", name="Partners")
    await partners.get_by_role("button", name="Add a partner").click()
    await partners.get_by_label("Handle of the partner").fill("crew")
    await partners.get_by_label("Share in percent").fill("12.5")
    await expect(partners.get_by_text("You keep 87.5")).to_be_visible()
    await partners.get_by_role("button", name="Save the shares").click()
    await expect(page.get_by_text("It counts for sales from now on.")).to_be_visible()
    shares = (await shop.owner.ask("GET", f"titles/{shop.title}/partners"))["items"]
    assert shares == [{"seller": "crew", "share_bp": 1250}]

    offers = page.get_by_role("region", name="Offers")
    await offers.get_by_role("button", name="Change: Own").click()
    await offers.get_by_label("Price", exact=True).fill("6.50")
    await offers.get_by_role("button", name="Save as the next version").click()
    own = offers.get_by_role("listitem").filter(has_text="$6.50")
    await expect(own).to_contain_text("version 2")
    await own.get_by_role("button", name="Take back: Own").click()
    await page.get_by_role("dialog").get_by_role("button", name="Take back").click()
    await expect(offers.get_by_text("Nothing is offered, so nobody can buy it.")).to_be_visible()


async def test_admin_gives_a_role_and_shuts_an_account_out(
    shop: Shop, vera: Viewer, admin: Viewer, open_page: Open
) -> None:
    page = await enter(await open_page(), admin, "/admin/users")
    await page.get_by_label("User name begins with").fill("ver")
    await page.get_by_role("button", name="Search").click()
    await expect(page.get_by_role("row").filter(has_text="ada")).to_have_count(0)
    await page.get_by_role("link", name="vera").click()
    await page.get_by_role("button", name="Give the role auditor").click()
    await page.get_by_role("dialog").get_by_role("button", name="Give it").click()
    await expect(page.get_by_role("button", name="Take the role auditor")).to_be_visible()
    await vera.ask("GET", "audit")
    await page.get_by_role("button", name="Shut them out …").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Shut them out").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("“Reason” is empty.")
    await dialog.get_by_label("Reason").fill("Stolen cards")
    await dialog.get_by_role("button", name="Shut them out").click()
    await expect(page.get_by_text("Stolen cards")).to_be_visible()
    await vera.ask("GET", "audit", 401)
    await page.get_by_role("button", name="Let them in again").click()
    await page.get_by_role("dialog").get_by_role("button", name="Let them in").click()
    await expect(page.get_by_role("button", name="Shut them out …")).to_be_visible()


async def test_moderator_is_led_to_the_parts_of_the_administration_that_are_theirs(
    shop: Shop, vera: Viewer, open_page: Open
) -> None:
    maud = await shop.viewer("maud", role="moderator")
    page = await enter(await open_page(phone=True), maud, "/")
    await page.get_by_label("Your account").click()
    await page.get_by_role("link", name="Administration").click()
    tabs = page.get_by_role("navigation", name="Administration").get_by_role("link")
    await expect(tabs).to_have_text(["Users", "Titles"])
    await page.get_by_role("link", name="vera").click()
    await expect(page.get_by_role("button", name="Shut them out …")).to_be_visible()
    for words in ("Payments", "What they did", "What was done to them"):
        await expect(page.get_by_role("link", name=words)).to_have_count(0)
    await enter(page, vera, "/")
    await page.get_by_label("Your account").click()
    await expect(page.get_by_role("link", name="Account", exact=True)).to_be_visible()
    await expect(page.get_by_role("link", name="Administration")).to_have_count(0)


async def test_question_that_is_closed_on_its_way_is_answered_all_the_same(
    vera: Viewer, admin: Viewer, open_page: Open
) -> None:
    page = await enter(await open_page(), admin, "/admin/users/vera")
    released = asyncio.Event()

    async def hold(route: Route) -> None:
        await released.wait()
        await route.continue_()

    await page.route("**/disabled", hold)
    await page.get_by_role("button", name="Shut them out …").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Reason").fill("Stolen cards")
    async with page.expect_request("**/disabled"):
        await dialog.get_by_role("button", name="Shut them out").click()
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_have_count(0)
    released.set()
    await expect(page.get_by_role("button", name="Let them in again")).to_be_visible()


async def test_list_goes_on_where_it_was_when_more_of_it_is_shown(vera: Viewer, admin: Viewer, open_page: Open) -> None:
    page = await open_page()
    await page.route("**/v1/admin/users*", in_pages(await admin.ask("GET", "admin/users")))
    await enter(page, admin, "/admin/users")
    more = page.get_by_role("button", name="Show more")
    names = page.locator("tbody").get_by_role("link")
    await more.click()
    await expect(page.locator("#toasts")).to_contain_text("busy")
    await expect(names).to_have_count(1)
    await more.click()
    await expect(names.nth(1)).to_be_focused()
    await expect(more).to_have_count(0)


async def test_history_stays_when_more_of_it_cannot_be_had(shop: Shop, vera: Viewer, open_page: Open) -> None:
    await shop.bought(vera)
    page = await open_page()
    await page.route("**/v1/payments/history*", in_pages(await vera.ask("GET", "payments/history")))
    await enter(page, vera, "/purchases")
    await page.get_by_role("button", name="Show more").click()
    await expect(page.locator("#toasts")).to_contain_text("busy")
    await expect(page.locator("#payments > li")).to_have_count(1)


async def test_report_is_of_the_month_that_was_chosen_last(admin: Viewer, open_page: Open) -> None:
    page = await enter(await open_page(), admin, "/admin/report")
    export = page.get_by_role("link", name="Export as CSV")
    await expect(export).to_be_visible()
    released = asyncio.Event()

    async def hold(route: Route) -> None:
        await released.wait()
        await route.continue_()

    await page.route("**/report?month=2025-01", hold)
    for month in ("2025-01", "2025-02"):
        await page.get_by_label("Month").fill(month)
        await page.get_by_label("Month").dispatch_event("change")
    await expect(export).to_have_attribute("href", re.compile("2025-02"))
    async with page.expect_response("**/report?month=2025-01"):
        released.set()
    await page.wait_for_load_state("networkidle")
    await expect(export).to_have_attribute("href", re.compile("2025-02"))


async def test_run_that_is_on_is_looked_at_again_when_a_look_failed(admin: Viewer, open_page: Open) -> None:
    await admin.ask("PUT", "flags/recon.enabled", 200, {"enabled": True})
    run = await admin.ask("POST", "reconciliations", 202, {})
    shown = await admin.ask("GET", f"reconciliations/{run['id']}")
    looks: list[str] = []

    async def now_and_then(route: Route) -> None:
        looks.append(route.request.url)
        if len(looks) == 2:
            await route.abort()
        else:
            await route.fulfill(json={**shown, "state": "asked" if len(looks) == 1 else "failed"})

    page = await open_page()
    await page.route(f"**/v1/reconciliations/{run['id']}", now_and_then)
    await enter(page, admin, f"/admin/reconciliation/{run['id']}")
    await expect(page.get_by_text("Failed", exact=True)).to_be_visible()
    assert len(looks) == 3


def in_pages(found: dict[str, Any]) -> Callable[[Route], Awaitable[None]]:
    """Two pages of one item each; a server is too busy for the second one at first."""
    answers: list[dict[str, Any]] = [
        {"json": {"items": found["items"][:1], "next": "more"}},
        {"status": 503, "json": {"detail": "The server is busy."}},
        {"json": {"items": found["items"][-1:], "next": ""}},
    ]

    async def answer(route: Route) -> None:
        await route.fulfill(**answers.pop(0))

    return answer


async def test_pages_of_sellers_and_admins_fit_a_small_phone(
    shop: Shop, vera: Viewer, admin: Viewer, open_page: Open, shots: Path | None
) -> None:
    await shop.by_card(vera)
    bought = await shop.bought(await shop.viewer("otto", funds=500))
    await admin.ask("POST", f"payments/{bought['id']}/refunds", 201, {"reason": "A try", "amount": 100})
    handle = shop.seller.seller["handle"]
    await shop.books.fund(20_000, f"earnings__{shop.seller.seller['id']}", asset="USD")
    await shop.owner.ask("POST", f"sellers/{handle}/withdrawals", 201, {"amount": 5000, "currency": "USD"})
    await shop.owner.ask("POST", f"sellers/{handle}/coupons", 201, {"code": "SPRING", "percent": 20})
    own = {
        "/studio": "The Long Way",
        f"/studio/{shop.title}": "version 1",
        "/studio/coupons": "SPRING",
        "/studio/blocked": "Nobody is blocked",
        "/earnings": "By title",
        "/payouts": "Somebody looks at it",
    }
    office = {
        "/admin/users": "otto",
        "/admin/users/vera": "vera@example.org",
        "/admin/titles": "Take down",
        "/admin/payments": "otto",
        f"/admin/payments/{bought['id']}": "platform_fee",
        "/admin/refunds": "A try",
        "/admin/payouts": "Reject …",
        "/admin/report": "The books balance",
        "/admin/reconciliation": "No run yet",
        "/admin/audit": "payment:refund",
    }
    page = await open_page()
    for who, paths in ((shop.owner, own), (admin, office)):
        for path, words in paths.items():
            await page.set_viewport_size(NARROW)
            await enter(page, who, path)
            await expect(page.get_by_text(words).first).to_be_visible()
            assert await page.evaluate(FITS), path
            if shots:
                await photograph(page, shots, path.strip("/").replace("/", "-"))


async def photograph(page: Page, shots: Path, name: str) -> None:
    """The page at the sizes of a phone and of a desk."""
    for width in (390, 1280):
        await page.set_viewport_size({"width": width, "height": 800})
        await page.wait_for_timeout(400)
        await page.screenshot(path=shots / f"{name}-{width}.png", full_page=True)
