"""The shortest film and a very long one, in a real browser."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import Page, expect

from tests.e2e.conftest import Open
from tests.e2e.test_browser import plays_past
from tests.e2e.test_odd_masters import IS_LONG, upload
from tests.support import media
from tests.support.api import Person

#: Three hours; in the short form ten minutes.
LENGTH_S = 3 * 3600 if IS_LONG else 600
PATIENCE_MS = 60_000
ENDED = "() => document.querySelector('video')?.ended"


async def watched(page: Page, seller: Person, master: Path) -> None:
    """Make a title of a master, and press play on its page."""
    title = await upload(seller, master.stem, master)
    await seller.wait_ready(title)
    shown = await seller.ask("POST", f"titles/{title}/publish")
    await page.goto(shown["watch_url"])
    await page.get_by_role("button", name=f"Play {master.stem}").click()


async def test_film_of_one_picture_is_shown_and_ends(seller: Person, open_page: Open) -> None:
    page = await open_page()
    await watched(
        page, seller, media.master("e2e-one.mp4", *media.picture("160x90", seconds=1), "-frames:v", "1", *media.H264)
    )
    await page.wait_for_function(ENDED, timeout=PATIENCE_MS)
    assert await page.evaluate("document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames") >= 1
    await expect(page.locator("#curtain")).to_have_count(0)


async def test_long_film_is_there_to_jump_about_in(seller: Person, open_page: Open, shots: Path | None) -> None:
    page = await open_page(phone=True)
    picture = media.picture("160x90", rate="1/4", seconds=LENGTH_S)
    await watched(page, seller, media.master("e2e-hours.mp4", *picture, *media.H264))
    await plays_past(page, 1)
    assert abs(await page.evaluate("document.querySelector('video').duration") - LENGTH_S) < 5
    for place in (LENGTH_S - 60, LENGTH_S // 2):
        await page.evaluate("at => { document.querySelector('video').currentTime = at; }", place)
        await plays_past(page, place + 1)
        if shots:
            await page.screenshot(path=shots / f"hours-{place}.png")
    await page.evaluate("at => { document.querySelector('video').currentTime = at; }", LENGTH_S - 4)
    await page.wait_for_function(ENDED, timeout=PATIENCE_MS)
    await expect(page.locator("#curtain")).to_have_count(0)
