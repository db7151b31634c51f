"""Sales, statements and the platform's month over HTTP, after real purchases; and who may see which."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.control.worker import process
from tests.support import months, pdf
from tests.support.control import Control, code_of, log_in
from tests.support.shop import Shop, Viewer, open_shop

DAY_S = 86400
#: The month in which all of it is booked, and when.
MONTH, THEN = "2026-01", datetime(2026, 1, 15, 12, tzinfo=UTC)


@pytest.fixture
async def shop(control: Control) -> Shop:
    """A title at 5.00, of which `mate` gets 30 % of what the fee leaves."""
    return await open_shop(control, partners=[("mate", 3000)])


@pytest.fixture
async def admin(shop: Shop) -> Viewer:
    """Somebody who gives back and pays out."""
    return await shop.viewer("ada", role="admin")


async def partner(shop: Shop) -> Viewer:
    """Who shares in the title."""
    http = shop.control.browser("10.3.0.1")
    return Viewer(http, await log_in(http, "mate"))


async def sold(shop: Shop, admin: Viewer) -> None:
    """One sale by wallet, one by card, 1.00 of the first given back, the second disputed and lost."""
    vera, otto = await shop.viewer(funds=500), await shop.viewer("otto")
    purchase = await shop.bought(vera)
    await admin.ask("POST", f"payments/{purchase['id']}/refunds", 201, {"reason": "asked for", "amount": 100})
    paid = await shop.by_card(otto)
    rows = await shop.control.rows("select provider_ref from purchase where id = $1", paid["id"])
    await shop.hands.dispute(rows[0]["provider_ref"])
    await shop.hear()


async def booked(shop: Shop, then: datetime = THEN) -> None:
    """Let what was booked now have been booked then."""
    await months.move_rest(shop.control.wiring["pool"], then)


async def sales(who: Viewer, by: str, handle: str = "studio") -> list[dict[str, Any]]:
    """Sales of the one day."""
    query = f"by={by}&since=2026-01-15&until=2026-01-15"
    return list((await who.ask("GET", f"sellers/{handle}/sales?{query}"))["items"])


async def lines(who: Viewer, month: str, handle: str = "studio") -> dict[str, int]:
    """A statement of one section."""
    made = await who.ask("GET", f"sellers/{handle}/statements/{month}")
    (section,) = made["sections"]
    assert (section["legal_entity"], section["currency"]) == ("usher", "USD")
    found = {line["line"]: line["amount"] for line in section["lines"]}
    return {"opening": section["opening"]["total"], **found, "closing": section["closing"]["total"]}


def rows_of(text: str) -> list[dict[str, str]]:
    """A sheet, as a spreadsheet reads it."""
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


async def test_sales_are_what_was_booked_for_the_seller_and_for_the_partner(shop: Shop, admin: Viewer) -> None:
    await sold(shop, admin)
    await booked(shop)
    figures = ("purchases", "refunds", "gross", "fee", "others", "net", "currency")
    (day,) = await sales(shop.owner, "day")
    assert [day[name] for name in figures] == [2, 2, 400, 40, 108, 252, "USD"]
    assert day["day"] == "2026-01-15" and day["title"] is None
    (title,) = await sales(shop.owner, "title")
    assert (title["title"], title["name"], title["day"]) == (shop.title, "The Long Way", None)
    assert [title[name] for name in figures] == [day[name] for name in figures]
    (shared,) = await sales(await partner(shop), "title", "mate")
    assert [shared[name] for name in figures] == [2, 2, 400, 40, 252, 108, "USD"]
    assert shared["name"] == "The Long Way"


async def test_statement_leads_from_sales_and_payouts_to_what_the_accounts_hold(shop: Shop, admin: Viewer) -> None:
    await sold(shop, admin)
    await shop.bought(await shop.viewer("rich", funds=500))
    seller = shop.seller.seller["id"]
    shop.control.clock.advance(8 * DAY_S)
    await process.settle_earnings(shop.control.wiring)
    policy = {"rail": "bank", "currency": "USD", "minimum": 1, "hold_days": 0, "auto_up_to": 1000}
    await admin.ask("PUT", "policies", body=policy)
    order = {"amount": 200, "currency": "USD"}
    withdrawal = await shop.owner.ask("POST", "sellers/studio/withdrawals", 201, order)
    await admin.ask("POST", f"withdrawals/{withdrawal['id']}/complete", body={"rail_ref": "t1"})
    await booked(shop)
    found = await lines(shop.owner, MONTH)
    assert found == {
        "opening": 0, "sales": 1500, "refunds": -100, "chargebacks": -500, "fees": -90, "partner_shares": -243,
        "payouts": -200, "closing": 367,
    }  # fmt: skip
    assert sum(await shop.amounts(f"earnings:{seller}", f"earnings_pending:{seller}", f"receivable:{seller}")) == 367
    assert await lines(await partner(shop), MONTH, "mate") == {"opening": 0, "shares": 243, "closing": 243}
    month = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    wanted = await months.expected(shop.control.wiring["pool"], seller, month, company="usher")
    assert wanted == {("usher", "USD"): found}
    await shop.audit()


async def test_month_that_is_over_is_told_as_such_and_the_next_begins_with_its_balance(
    shop: Shop, admin: Viewer
) -> None:
    await sold(shop, admin)
    await booked(shop, datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC))
    await shop.bought(await shop.viewer("late", funds=500))
    await booked(shop, datetime(2026, 2, 1, tzinfo=UTC))
    told = (await shop.owner.ask("GET", "sellers/studio/statements"))["items"]
    assert not told[0]["is_final"]
    assert told[-2:] == [{"month": "2026-02", "is_final": True}, {"month": "2026-01", "is_final": True}]
    first, second = await lines(shop.owner, "2026-01"), await lines(shop.owner, "2026-02")
    assert (first["opening"], first["closing"]) == (0, 252) and "sales" in first
    assert second == {"opening": 252, "sales": 500, "fees": -50, "partner_shares": -135, "closing": 567}
    assert await lines(shop.owner, "2026-03") == {"opening": 567, "closing": 567}


async def test_sheet_and_document_are_files_and_a_name_is_no_formula(shop: Shop) -> None:
    name = '=HYPERLINK("//example.org","x")'
    await shop.seller.ask("PATCH", f"titles/{shop.title}", body={"name": name})
    await shop.bought(await shop.viewer(funds=500))
    await booked(shop)
    path = f"/v1/sellers/studio/statements/{MONTH}"
    sheet, document = await shop.owner.http.get(f"{path}.csv"), await shop.owner.http.get(f"{path}.pdf")
    assert sheet.headers["content-type"] == "text/csv; charset=utf-8"
    assert sheet.headers["content-disposition"] == f'attachment; filename="statement-studio-{MONTH}.csv"'
    found = {row["line"]: (row["name"], row["amount"]) for row in rows_of(sheet.text)}
    assert found["sales"] == (f"'{name}", "5.00") and found["closing_balance"] == ("", "3.15")
    assert document.headers["content-type"] == "application/pdf"
    assert document.headers["content-disposition"] == f'attachment; filename="statement-studio-{MONTH}.pdf"'
    shown = pdf.texts(document.content)
    sales, closing = shown.index("Sales of your titles"), shown.index("Closing balance")
    assert (shown[0], shown[sales + 1 : sales + 3]) == (f"Statement {MONTH}", ["1", "5.00"])
    assert shown[closing + 1] == "3.15"
    for answer in (sheet, document):
        assert answer.headers["cache-control"] == "no-store"


async def test_statements_are_for_the_sellers_own(shop: Shop, admin: Viewer) -> None:
    month, nobody = MONTH, shop.control.browser("10.3.0.9")
    paths = ["sales", "statements", f"statements/{month}", f"statements/{month}.csv", f"statements/{month}.pdf"]
    vera, mate = await shop.viewer(), await partner(shop)
    for path in paths:
        assert (await nobody.get(f"/v1/sellers/studio/{path}")).status_code == 401
        for who in (vera, mate):
            assert code_of(await who.http.get(f"/v1/sellers/studio/{path}")) == (403, "forbidden"), path
        for one in (shop.owner, admin):
            assert (await one.http.get(f"/v1/sellers/studio/{path}")).status_code == 200, path
        assert code_of(await admin.http.get(f"/v1/sellers/nobody/{path}")) == (404, "not-found")


async def test_what_is_no_month_and_no_day_is_refused(shop: Shop) -> None:
    wrong = {
        "statements/2026-13": "month-unknown",
        "statements/november.pdf": "month-unknown",
        "statements/2026-1.csv": "month-unknown",
        "sales?by=week": "by-unknown",
        "sales?since=yesterday": "day-unknown",
        "sales?since=2026-02-01&until=2026-01-01": "span-unknown",
        "sales?since=2024-01-01&until=2026-01-01": "span-unknown",
    }
    for path, code in wrong.items():
        assert code_of(await shop.owner.http.get(f"/v1/sellers/studio/{path}")) == (422, code), path


async def test_report_tells_the_platforms_month_and_that_it_balances(shop: Shop, admin: Viewer) -> None:
    await sold(shop, admin)
    await booked(shop)
    auditor = await shop.viewer("audrey", role="auditor")
    path = f"platform/report?month={MONTH}"
    made = await auditor.ask("GET", path)
    (line,) = made["items"]
    assert {name: line[name] for name in ("purchases", "gross", "refunds", "chargebacks", "fees", "rail_fees")} == {
        "purchases": 2, "gross": 1000, "refunds": 100, "chargebacks": 500, "fees": 40, "rail_fees": 45,
    }  # fmt: skip
    assert (line["held"], line["owed"], line["payouts"], line["difference"]) == (360, 0, 0, 0)
    assert made["checks"] == [{"currency": "USD", "kept": 360, "derived": 360, "difference": 0}]
    assert made["is_balanced"] and made["is_final"]
    (row,) = rows_of((await auditor.http.get(f"/v1/platform/report.csv?month={MONTH}")).text)
    assert (row["month"], row["gross"], row["held"]) == (MONTH, "10.00", "3.60")
    for who in (shop.owner, await shop.viewer("vita")):
        assert code_of(await who.http.get(f"/v1/{path}")) == (403, "forbidden")
    assert code_of(await auditor.http.get("/v1/platform/report")) == (422, "month-unknown")


async def test_report_says_when_an_account_keeps_what_was_not_posted(shop: Shop, admin: Viewer) -> None:
    await shop.bought(await shop.viewer(funds=500))
    seller = shop.seller.seller["id"]
    await shop.control.rows(
        "update ledger_account set balance = balance + 7 where code = $1", f"earnings_pending:{seller}"
    )
    made = await admin.ask("GET", f"platform/report?month={MONTH}")
    assert not made["is_balanced"] and 7 in [check["difference"] for check in made["checks"]]


async def test_month_in_which_all_went_to_partners_is_told_too(shop: Shop) -> None:
    await shop.seller.ask(
        "PUT", f"titles/{shop.title}/partners", body={"items": [{"seller": "mate", "share_bp": 10000}]}
    )
    await shop.bought(await shop.viewer(funds=500))
    await booked(shop)
    (day,) = await sales(shop.owner, "day")
    assert (day["purchases"], day["gross"], day["others"], day["net"]) == (1, 500, 450, 0)
    found = await lines(shop.owner, MONTH)
    assert found == {"opening": 0, "sales": 500, "fees": -50, "partner_shares": -450, "closing": 0}


async def test_referral_is_paid_of_the_fee(shop: Shop) -> None:
    bringer = await shop.viewer("brigitte")
    code = (await bringer.ask("PUT", "me/referral"))["code"]
    await shop.bought(await shop.viewer(funds=500), referral=code)
    await booked(shop)
    (day,) = await sales(shop.owner, "day")
    assert (day["gross"], day["fee"], day["others"], day["net"]) == (500, 50, 135, 315)
    assert (await shop.amounts(f"wallet:{bringer.id}", "platform_fee"))[0] > 0
