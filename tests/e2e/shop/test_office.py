"""Running the platform in a browser: refunds and their trail, roles, accounts that are shut out."""

from __future__ import annotations

from playwright.async_api import expect

from tests.e2e.conftest import Open
from tests.e2e.shop.conftest import enter
from tests.support.shop import Shop, Viewer


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
    await expect(page.get_by_role("main")).to_be_focused()
    posted = page.get_by_role("table", name="Postings").get_by_role("row").filter(has_text="platform_fee")
    await expect(posted.last).to_contain_text("−$0.20")

    await refunds.get_by_role("link").click()
    entry = page.get_by_role("table", name="Audit trail").get_by_role("row").filter(has_text="payment:refund")
    await expect(entry).to_contain_text("ada")
    await expect(entry).to_contain_text("The sound <b>broke</b>")
    await expect(entry).to_contain_text("amount: $2.00")
    await expect(entry).to_contain_text("127.0.0.0/24")


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
    await expect(page.get_by_role("main")).to_be_focused()
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
