"""Pages of the shop whose answers come late, or not at once: questions, lists, reports and runs go on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.conftest import Open
from tests.e2e.shop.conftest import enter, tile
from tests.support.patience import until
from tests.support.shop import Shop, Viewer

#: Asks something and waits for the answer: what came before it has been dealt with.
SETTLED = "fetch('/v1/me').then((answer) => answer.text())"
#: A page that is hidden as long as `isAway`.
AWAY = "isAway = true; Object.defineProperty(document, 'hidden', { get: () => isAway })"
BACK = "isAway = false; document.dispatchEvent(new Event('visibilitychange'))"


async def held(page: Page, pattern: str) -> asyncio.Event:
    """Requests go on once the event is set."""
    released = asyncio.Event()

    async def hold(route: Route) -> None:
        await released.wait()
        await route.continue_()

    await page.route(pattern, hold)
    return released


async def come(page: Page, pattern: str, released: asyncio.Event) -> None:
    """Let what is held come, and the page deal with it."""
    async with page.expect_response(pattern) as begun:
        released.set()
    await (await begun.value).finished()
    await page.evaluate(SETTLED)


async def stop_clock(page: Page) -> None:
    """The clock of the page stands still but where it is told to go on."""
    await page.clock.install(time=0)
    await page.clock.pause_at(1)


async def looked(page: Page, looks: list[str], times: int) -> None:
    """The page has looked so many times, and no more."""

    async def have() -> bool:
        return len(looks) >= times

    await until(have, within_s=60)
    await page.evaluate(SETTLED)
    assert len(looks) == times


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


async def test_question_that_is_closed_on_its_way_is_answered_all_the_same(
    vera: Viewer, admin: Viewer, open_page: Open
) -> None:
    page = await enter(await open_page(), admin, "/admin/users/vera")
    released = await held(page, "**/disabled")
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
    await asyncio.gather(expect(page.locator("#toasts")).to_contain_text("busy"), more.click())
    await expect(names).to_have_count(1)
    await more.click()
    await expect(names.nth(1)).to_be_focused()
    await expect(more).to_have_count(0)


async def test_history_stays_when_more_of_it_cannot_be_had(shop: Shop, vera: Viewer, open_page: Open) -> None:
    await shop.bought(vera)
    page = await open_page()
    await page.route("**/v1/payments/history*", in_pages(await vera.ask("GET", "payments/history")))
    await enter(page, vera, "/purchases")
    more = page.get_by_role("button", name="Show more")
    await asyncio.gather(expect(page.locator("#toasts")).to_contain_text("busy"), more.click())
    await expect(page.locator("#payments > li")).to_have_count(1)


async def test_report_is_of_the_month_that_was_chosen_last(admin: Viewer, open_page: Open) -> None:
    page = await enter(await open_page(), admin, "/admin/report")
    export = page.get_by_role("link", name="Export as CSV")
    await expect(export).to_be_visible()
    released = await held(page, "**/report?month=2025-01")
    for month in ("2025-01", "2025-02"):
        await page.get_by_label("Month").fill(month)
    await expect(export).to_have_attribute("href", re.compile("2025-02"))
    await come(page, "**/report?month=2025-01", released)
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


async def test_view_that_was_asked_for_last_stays_when_the_one_before_comes(shop: Shop, open_page: Open) -> None:
    page = await enter(await open_page(), shop.owner, "/studio/blocked")
    tabs = page.get_by_role("navigation", name="Selling")
    heading = page.get_by_role("heading", name="Block a viewer")
    await expect(heading).to_be_visible()
    released = await held(page, "**/v1/studio/titles*")
    async with page.expect_request("**/v1/studio/titles*"):
        await tabs.get_by_role("link", name="Titles").click()
    await tabs.get_by_role("link", name="Blocked viewers").click()
    await come(page, "**/v1/studio/titles*", released)
    assert await heading.is_visible()


@pytest.mark.parametrize("answer", [{"status": 503, "json": {}}, {"json": {"items": []}}], ids=["fail", "come"])
async def test_earnings_of_the_seller_who_was_chosen_last_stay_when_those_of_another(
    answer: dict[str, Any], shop: Shop, open_page: Open
) -> None:
    await shop.owner.ask("POST", "sellers", 201, {"name": "Late Films", "handle": "late"})
    handle, released = shop.seller.seller["handle"], asyncio.Event()

    async def hold(route: Route) -> None:
        await released.wait()
        await route.fulfill(**answer)

    page = await enter(await open_page(), shop.owner, f"/earnings?seller={handle}&first")
    link = page.get_by_role("link", name="Take money out")
    await expect(link).to_have_attribute("href", f"/payouts?seller={handle}&first")
    await page.route("**/v1/sellers/late/earnings", hold)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    choice = page.get_by_label("Seller")
    async with page.expect_request("**/v1/sellers/late/earnings"):
        await choice.select_option("late")
    await choice.select_option(handle)
    await expect(link).to_have_attribute("href", f"/payouts?seller={handle}")
    await come(page, "**/v1/sellers/late/earnings", released)
    assert await tile(page, "Pending").is_visible()
    assert [url for url in asked if url.endswith("/late/earnings/events")] == []


async def test_balance_without_a_stream_is_asked_for_less_and_less_and_not_while_nobody_looks(
    vera: Viewer, open_page: Open
) -> None:
    page = await open_page()
    looks: list[str] = []

    async def refuse(route: Route) -> None:
        looks.append(route.request.url)
        await route.fulfill(status=503)

    await page.route("**/v1/wallet/events", refuse)
    await stop_clock(page)
    async with page.expect_response("**/v1/wallet"):
        await enter(page, vera, "/wallet")
    await expect(page.locator("#pockets")).to_contain_text("$20.00")
    for times, wait_ms in ((1, 3000), (2, 6000)):
        await looked(page, looks, times)
        await page.clock.run_for(wait_ms - 1)
        await looked(page, looks, times)
        async with page.expect_response("**/v1/wallet"):
            await page.clock.run_for(1)
    await looked(page, looks, 3)
    await page.evaluate(AWAY)
    await page.clock.run_for(600_000)
    await looked(page, looks, 3)
    await page.evaluate(BACK)
    await looked(page, looks, 4)


async def test_balance_is_asked_for_soon_after_a_stream_that_ended(vera: Viewer, open_page: Open) -> None:
    page = await open_page()
    looks: list[str] = []

    async def answer(route: Route) -> None:
        looks.append(route.request.url)
        if len(looks) == 3:
            await route.fulfill(content_type="text/event-stream", body="retry: 1\n\n")
        else:
            await route.fulfill(status=503)

    await page.route("**/v1/wallet/events", answer)
    await stop_clock(page)
    async with page.expect_response("**/v1/wallet"):
        await enter(page, vera, "/wallet")
    for times, wait_ms in ((1, 3000), (2, 6000), (4, 3000)):
        await looked(page, looks, times)
        async with page.expect_response("**/v1/wallet"):
            await page.clock.run_for(wait_ms)
    await looked(page, looks, 5)


async def test_withdrawal_is_looked_at_soon_after_it_was_asked_for(shop: Shop, admin: Viewer, open_page: Open) -> None:
    await shop.books.fund(20_000, f"earnings__{shop.seller.seller['id']}", asset="USD")
    page = await open_page()
    await stop_clock(page)
    await enter(page, shop.owner, "/payouts")
    await expect(page.get_by_text("Nothing was taken out yet")).to_be_visible()
    await page.clock.run_for(200_000)
    await page.get_by_label("Amount").fill("60")
    await page.get_by_role("button", name="Ask for it").click()
    asked = page.get_by_role("table", name="Withdrawals").get_by_role("row").filter(has_text="$60.00")
    await expect(asked).to_contain_text("Asked for")
    await expect(tile(page, "On its way")).to_contain_text("$60.00")
    await expect(page.get_by_text("It is asked for.")).to_be_visible()
    await page.evaluate(SETTLED)
    (one,) = (await admin.ask("GET", "withdrawals"))["items"]
    await admin.ask("POST", f"withdrawals/{one['id']}/approve")
    await page.clock.run_for(3000)
    await expect(asked).to_contain_text("Approved")


@pytest.mark.parametrize("status", [200, 503], ids=["come", "fail"])
async def test_focus_stays_on_the_desk_when_the_film_can_be_watched_and_its_words(
    status: int, shop: Shop, open_page: Open
) -> None:
    title = await shop.seller.published(name="A Gift")
    job = await shop.seller.queue(title["id"])
    now = await shop.owner.ask("GET", f"jobs/{job.id}")
    page, released = await open_page(), asyncio.Event()

    async def refuse(route: Route) -> None:
        await released.wait()
        await route.fulfill(status=503)

    await page.route(f"**/v1/titles/{title['id']}/jobs", lambda route: route.fulfill(json={"items": [now]}))
    await page.route(f"**/v1/jobs/{job.id}/events", refuse)
    await page.route(f"**/v1/jobs/{job.id}", lambda route: route.fulfill(json=now | {"playable": True}))
    await enter(page, shop.owner, f"/studio/{title['id']}")
    way = page.get_by_role("button", name="Take off the front page")
    await way.focus()
    answer = title | {"making": True} if status == 200 else {"detail": "The server is busy."}
    await page.route(f"**/v1/titles/{title['id']}", lambda route: route.fulfill(status=status, json=answer))
    told = page.get_by_text("sees what is made so far" if status == 200 else "The server is busy.")
    released.set()
    await expect(told).to_be_visible()
    await expect(way).to_be_focused()
