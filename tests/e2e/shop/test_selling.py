"""Selling in a browser: prices, live sales and statements, coupons and partners, blocked viewers, withdrawals."""

from __future__ import annotations

import asyncio
from pathlib import Path

from playwright.async_api import expect

from gateway.control.worker import money
from tests.e2e.conftest import Open
from tests.e2e.shop.conftest import enter, tile
from tests.support.shop import Shop, Viewer
from tests.support.titles import desk


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

    await page.reload()
    for kind in ("CSV", "PDF"):
        async with page.expect_download() as download:
            await page.get_by_role("link", name=f"as {kind}").click()
        await (await download.value).save_as(tmp_path / kind)
    assert "7.20" in (tmp_path / "CSV").read_text()
    assert (tmp_path / "PDF").read_bytes().startswith(b"%PDF-")


async def test_the_desk_says_what_is_true_after_each_change_of_an_offer(shop: Shop, open_page: Open) -> None:
    free = await shop.seller.published(name="A Gift")
    page = await enter(await open_page(), shop.owner, f"/studio/{free['id']}")
    offers = page.get_by_role("region", name="Offers")
    await expect(offers.get_by_text("Everybody may watch it for free.")).to_be_visible()
    await offers.get_by_role("button", name="Add an offer").click()
    await offers.get_by_label("Kind").select_option("Rent for 24 hours")
    await offers.get_by_label("Price", exact=True).fill("8.00")
    await offers.get_by_role("button", name="Offer it").click()
    await offers.get_by_role("listitem").filter(has_text="$8.00").get_by_role("button", name="Take back").click()
    await page.get_by_role("dialog").get_by_role("button", name="Take back").click()
    await expect(offers.get_by_text("Nothing is offered")).to_be_visible()


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
    told = expect(page.get_by_text("It counts for sales from now on.")).to_be_visible()
    await asyncio.gather(told, partners.get_by_role("button", name="Save the shares").click())
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
    await page.get_by_label("Amount").fill("999999999999")
    await page.get_by_role("button", name="Ask for it").click()
    await expect(page.get_by_role("alert").filter(has_text="more than can be asked for at once")).to_be_visible()
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
    await expect(office.get_by_role("region", name="Waiting")).to_be_focused()
    await expect(asked).to_contain_text("Paid out")
    await expect(asked).to_contain_text("reference T-4711")


async def test_what_cannot_be_done_yet_is_said_instead_of_offered(shop: Shop, admin: Viewer, open_page: Open) -> None:
    seller = shop.seller.seller
    await shop.books.fund(6000, f"earnings__{seller['id']}", asset="USD")
    page = await enter(await open_page(phone=True), shop.owner, "/payouts")
    await expect(page.get_by_text("To which account is agreed with the portal outside of Usher")).to_be_visible()
    await expect(page.get_by_role("button", name="All of it")).to_be_visible()
    body = {"amount": 5500, "currency": "USD", "rail": "bank"}
    await shop.owner.ask("POST", f"sellers/{seller['handle']}/withdrawals", 201, body)
    await expect(page.get_by_text("You can take it out from $50.00 on.")).to_be_visible()
    await expect(page.get_by_role("button", name="Ask for it")).to_have_count(0)

    office = await enter(await open_page(), admin, "/admin/payouts")
    await expect(office.get_by_text("Usher knows no bank account of a seller")).to_be_visible()
    await office.get_by_role("button", name="Approve $55.00").click()
    waiting = office.get_by_role("table", name="Withdrawals that wait").get_by_role("row").filter(has_text="$55.00")
    await expect(waiting).to_contain_text("Approved")
    await expect(waiting.get_by_role("button")).to_have_text(["Reject …"])
    await office.get_by_role("button", name="Set terms …").click()
    by = office.get_by_role("dialog").get_by_label("By")
    await expect(by.get_by_role("option")).to_have_text(["Bank transfer", "Sandbox"])


async def test_withdrawal_is_rejected_with_a_reason_and_the_run_of_another_is_paid(
    shop: Shop, admin: Viewer, open_page: Open, tmp_path: Path
) -> None:
    seller = shop.seller.seller
    await shop.books.fund(20_000, f"earnings__{seller['id']}", asset="USD")
    terms = {"rail": "bank", "currency": "USD", "minimum": 1000, "hold_days": 0, "auto_up_to": 4000}
    await admin.ask("PUT", "policies", 200, terms)
    for amount in (4000, 6000):
        body = {"amount": amount, "currency": "USD", "rail": "bank"}
        await shop.owner.ask("POST", f"sellers/{seller['handle']}/withdrawals", 201, body)
    await money.pay_out(shop.control.wiring)
    page = await enter(await open_page(phone=True), shop.owner, "/payouts")
    withdrawals = page.get_by_role("table", name="Withdrawals").get_by_role("row")
    await expect(withdrawals.filter(has_text="$60.00")).to_contain_text("Asked for")

    office = await enter(await open_page(), admin, "/admin/payouts")
    await office.get_by_role("button", name="Reject $60.00").click()
    dialog = office.get_by_role("dialog")
    await dialog.get_by_label("Reason").fill("The name <b>differs</b>")
    await dialog.get_by_role("button", name="Reject it").click()
    await expect(office.get_by_role("button", name="Reject $60.00")).to_have_count(0)
    await expect(withdrawals.filter(has_text="$60.00")).to_contain_text(
        "The name <b>differs</b>. It is available again."
    )
    await expect(tile(page, "Available")).to_contain_text("$160.00")

    await office.get_by_role("region", name="Runs").get_by_role("link").click()
    async with office.expect_download() as download:
        await office.get_by_role("link", name="List as CSV").click()
    await (await download.value).save_as(tmp_path / "run.csv")
    assert seller["handle"] in (tmp_path / "run.csv").read_text()
    await office.get_by_role("button", name="Mark the run as paid").click()
    await dialog.get_by_label("Reference").fill("T-4712")
    await dialog.get_by_role("button", name="It is paid").click()
    await expect(office.get_by_role("table", name="Withdrawals")).to_contain_text("T-4712")
    await expect(office.get_by_text("Done", exact=True)).to_be_visible()
    await expect(withdrawals.filter(has_text="$40.00")).to_contain_text("reference T-4712")
