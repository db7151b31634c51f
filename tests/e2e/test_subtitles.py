"""Subtitles, from the file that a seller sends to the words that stand on the picture."""

from __future__ import annotations

from pathlib import Path

import httpx2
from playwright.async_api import Page, expect

from tests.e2e.conftest import Open
from tests.e2e.test_browser import enter, press_play
from tests.e2e.test_odd_masters import upload
from tests.support import media
from tests.support.api import Person, until
from tests.support.stack import Running

WORDS = "Die Flut kommt früh"
FILE = f"1\n00:00:00,200 --> 00:00:08,000\n{WORDS}\n".encode()
#: The words that the browser shows now.
SHOWN = """() => {
  const tracks = [...document.querySelector("video").textTracks].filter(({ mode }) => mode === "showing");
  return tracks.flatMap(({ activeCues }) => [...activeCues].map(({ text }) => text));
}"""


async def test_words_stand_on_the_picture_when_a_seller_sent_them_and_a_viewer_chose_them(
    stack: Running, seller: Person, open_page: Open, shots: Path | None
) -> None:
    master = media.master("e2e-subtitles.mp4", *media.picture("160x90", seconds=8), *media.H264)
    title = await upload(seller, "The tide", master)
    await seller.wait_ready(title)
    shown = await seller.ask("POST", f"titles/{title}/publish")
    desk = await open_page()
    await enter(desk, stack, "seller")
    await desk.goto(f"/studio/{title}")
    await send(desk, "notes.srt", b"\x1f\x8b gzip")
    panel = desk.get_by_role("region", name="Subtitles")
    await expect(panel.get_by_role("alert")).to_be_visible()
    await send(desk, "tide.de.srt", FILE)
    await expect(panel.get_by_role("listitem")).to_contain_text("Deutsch")
    if shots:
        await desk.screenshot(path=shots / "subtitles-desk.png", full_page=True)
    await listed(seller, title)

    page = await open_page()
    await page.goto(shown["watch_url"])
    await press_play(page)
    await page.evaluate("() => document.querySelector('video').pause()")
    await page.locator("media-settings-menu-button").click()
    await page.locator("[data-menu-of=subtitles]").click()
    await page.locator("media-captions-menu").get_by_text("Deutsch").click()
    await page.wait_for_function(f"() => ({SHOWN})().includes('{WORDS}')")
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    await page.mouse.move(1, 1)
    if shots:
        await page.screenshot(path=shots / "subtitles.png")
    with_words = await picture(page)
    assert with_words == await picture(page)
    await page.evaluate(
        "() => [...document.querySelector('video').textTracks].forEach((one) => (one.mode = 'disabled'))"
    )
    assert with_words != await picture(page)


async def send(desk: Page, name: str, data: bytes) -> None:
    """Choose a file of subtitles and send it."""
    form = desk.get_by_role("region", name="Subtitles")
    await form.locator("input[type=file]").set_input_files({"name": name, "mimeType": "text/plain", "buffer": data})
    await form.get_by_role("button", name="Add subtitles").click()


async def listed(seller: Person, title: str) -> None:
    """Until players are told of subtitles."""

    async def told() -> bool | None:
        url = (await seller.ask("POST", f"titles/{title}/play"))["url"]
        async with httpx2.AsyncClient(timeout=60) as http:
            return "TYPE=SUBTITLES" in (await http.get(url)).text or None

    await until(told, within_s=60, what="an edition with subtitles")


async def picture(page: Page) -> bytes:
    """The middle of the stage, where no controls are, as it is seen now."""
    await page.wait_for_timeout(500)
    box = await page.locator("#stage").bounding_box()
    assert box
    upper = {"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"] - 70}
    return await page.screenshot(clip=upper)  # type: ignore[arg-type]
