"""Running the platform in a browser: refunds and their trail, books compared, titles taken down, roles, shut doors."""

from __future__ import annotations

from playwright.async_api import expect

from gateway.control.checkout import actions as checkout
from gateway.control.reconciliation import actions as reconciliation
from tests.e2e.conftest import Open
from tests.e2e.shop.conftest import enter
from tests.support.shop import Shop, Viewer
from tests.support.titles import desk


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


async def test_who_got_what_is_told_by_name_and_the_partner_apart(
    shop: Shop, vera: Viewer, admin: Viewer, open_page: Open
) -> None:
    await desk(shop.control, "rival")
    items = [{"seller": "rival", "share_bp": 2500}]
    await shop.owner.ask("PUT", f"titles/{shop.title}/partners", 200, {"items": items})
    purchase = (await shop.bought(vera))["id"]
    page = await enter(await open_page(), admin, f"/admin/payments/{purchase}")
    parts = page.get_by_role("table", name="Parts").get_by_role("row")
    await expect(parts.filter(has_text="Partner")).to_contain_text("rival")
    await expect(parts.filter(has_text="Seller")).to_contain_text("studio")

    await page.get_by_role("button", name="Give it back …").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Reason").fill("   ")
    await dialog.get_by_role("button", name="Give it back").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("“Reason” is empty.")


async def paid_at(admin: Viewer, purchase: str) -> str:
    """The provider's name of a payment."""
    return str((await admin.ask("GET", f"admin/payments/{purchase}"))["payment"]["provider_ref"])


async def test_refund_that_its_provider_refused_is_asked_for_again(
    shop: Shop, vera: Viewer, admin: Viewer, open_page: Open
) -> None:
    purchase = (await shop.by_card(vera))["id"]
    ref = await paid_at(admin, purchase)
    await admin.ask("POST", f"payments/{purchase}/refunds", 201, {"reason": "A try"})
    # What the bank holds for a dispute cannot be given back meanwhile.
    await shop.hands.dispute(ref)
    assert await checkout.ask_refunds(shop=shop.wired) == 0
    page = await enter(await open_page(), admin, f"/admin/payments/{purchase}")
    refunds = page.get_by_role("table", name="Refunds")
    await expect(refunds).to_contain_text("Less than that is left of the payment.")
    await refunds.get_by_role("button", name="Ask again for $5.00").click()
    await expect(refunds).to_contain_text("Asked of the provider")
    await expect(refunds.get_by_role("button")).to_have_count(0)
    await expect(page.get_by_role("main")).to_be_focused()

    assert await checkout.ask_refunds(shop=shop.wired) == 0
    await shop.hands.dispute(ref, won=True)
    await enter(page, await shop.viewer("otis", role="auditor"), "/admin/refunds?state=failed")
    await expect(refunds).to_contain_text("Failed")
    await expect(refunds.get_by_role("button")).to_have_count(0)
    await enter(page, admin, "/admin/refunds?state=failed")
    await refunds.get_by_role("button", name="Ask again for $5.00").click()
    await expect(page.get_by_text("Nothing was given back that fits this.")).to_be_visible()
    assert await checkout.ask_refunds(shop=shop.wired) == 1
    await page.get_by_label("State").select_option("Done")
    await expect(refunds).to_contain_text("$5.00")


async def test_admin_compares_the_books_now_and_is_led_to_what_differs(
    shop: Shop, vera: Viewer, admin: Viewer, open_page: Open
) -> None:
    purchase = (await shop.by_card(vera))["id"]
    await shop.hands.provider.refund(await paid_at(admin, purchase), 200, "by other hands")
    shop.control.clock.advance(2 * 3600)
    page = await enter(await open_page(), admin, "/admin/reconciliation")
    await expect(page.get_by_role("main")).to_contain_text("that is switched off")
    await expect(page.get_by_role("button", name="Compare the last three days now")).to_have_count(0)
    await admin.ask("PUT", "flags/recon.enabled", 200, {"enabled": True})
    shop.control.clock.advance(2)  # flags are asked for again by then
    await page.reload()
    await page.get_by_role("button", name="Compare the last three days now").click()
    runs = page.get_by_role("table", name="Runs")
    await expect(runs).to_contain_text("Running")
    wiring = shop.control.wiring
    await reconciliation.run_due(providers=wiring["providers"], begin=wiring["begin"], clock=wiring["clock"])
    await expect(runs).to_contain_text("1 difference")
    await runs.get_by_role("link").click()
    found = page.get_by_role("table", name="Differences").get_by_role("row").filter(has_text="not booked here")
    await expect(found).to_contain_text("Given back there, not booked here")
    await expect(found).to_contain_text("$2.00")
    await found.get_by_role("link", name=purchase).click()
    await expect(page.get_by_role("heading", name="The Long Way, $5.00")).to_be_visible()


async def test_title_is_taken_down_with_a_notice_to_everybody_and_brought_back(
    shop: Shop, admin: Viewer, open_page: Open
) -> None:
    page = await enter(await open_page(), admin, "/admin/titles")
    await page.get_by_role("button", name="Take down The Long Way").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Reason").fill("Others claim it")
    await dialog.get_by_label("Notice").fill("Gone after a <b>claim</b>")
    await dialog.get_by_role("button", name="Take it down").click()
    await expect(page.get_by_role("row").filter(has_text="The Long Way")).to_contain_text("Taken down")

    watch = await open_page(phone=True)
    await watch.goto(f"/watch/{shop.title}")
    await expect(watch.get_by_role("alert")).to_contain_text("Gone after a <b>claim</b>")
    await expect(watch.get_by_role("button", name="Play The Long Way")).to_have_count(0)
    await page.get_by_role("button", name="Bring back The Long Way").click()
    await expect(dialog).to_contain_text("Others claim it")
    await dialog.get_by_role("button", name="Bring it back").click()
    await expect(page.get_by_role("button", name="Take down The Long Way")).to_be_visible()
    await watch.reload()
    await expect(watch.get_by_role("button", name="Play The Long Way")).to_be_visible()


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
