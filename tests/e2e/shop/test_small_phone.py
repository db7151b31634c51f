"""Pages of sellers and of the administration on a small phone."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import Page, ViewportSize, expect

from tests.e2e.conftest import Open
from tests.e2e.shop.conftest import enter
from tests.support.shop import Shop, Viewer

NARROW: ViewportSize = {"width": 360, "height": 740}
DESK: ViewportSize = {"width": 1280, "height": 800}
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
#: Words of tables that stand on two lines, but for those that no column has room for.
BROKEN = """
[...document.querySelectorAll(".books th, .books td:not(.ways)")].flatMap((cell) => {
  const walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), found = [], range = new Range();
  for (let text = walk.nextNode(); text; text = walk.nextNode())
    for (const word of text.data.matchAll(/[^\\s–-]{2,19}(?!\\S)/g)) {
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      if (range.getClientRects().length > 1 && !cell.matches(".long")) found.push(word[0]);
    }
  return found;
})
"""


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
        "/studio/webhooks": "No endpoint yet",
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
            await page.set_viewport_size(DESK)
            assert await page.evaluate(FITS) and await page.evaluate(BROKEN) == [], path
            if shots:
                await photograph(page, shots, path.strip("/").replace("/", "-"))


async def photograph(page: Page, shots: Path, name: str) -> None:
    """The page at the sizes of a phone and of a desk."""
    for width in (390, 1280):
        await page.set_viewport_size({"width": width, "height": 800})
        await page.wait_for_timeout(400)
        await page.screenshot(path=shots / f"{name}-{width}.png", full_page=True)
