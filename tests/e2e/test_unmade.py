"""What a viewer meets where a film is not made: a wait in words, an end with a way on, no poorer picture after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.conftest import Open
from tests.e2e.test_browser import enter, plays_past, press_play
from tests.e2e.test_making import SEEK, begun, stand
from tests.support import media
from tests.support.api import Person, log_in, until
from tests.support.stack import Running

SECONDS = 60
PATIENCE_MS = 60_000
#: The film was left at this place, a moment ago.
LEFT_AT = """(at) => {
  const { title } = document.getElementById("stage").dataset;
  localStorage.setItem(`usher:position:${title}`, JSON.stringify({ t: at, at: Date.now() }));
}"""
#: Presses play, and does not wait for a picture.
START = "document.getElementById('start').click()"
#: Asks for a segment as the player does while a film is made; what hls.js will take for the time that cost.
ASK = """async () => {
  const script = document.querySelector("script[src*='/watch.js']").src;
  const { default: Hls } = await import(new URL("../vendor/hls.mjs", script));
  const { patience } = await import(new URL("./patience.js", script));
  const { fLoader: Loader, fragLoadPolicy: policy } = patience(Hls);
  const loader = new Loader(Hls.DefaultConfig);
  window.answered = new Promise((done, failed) => {
    const onSuccess = (_, { loading }) => done(loading.end - loading.start);
    const context = { url: "/held.m4s", responseType: "arraybuffer" };
    loader.load(context, { loadPolicy: policy.default }, { onSuccess, onError: failed, onTimeout: failed });
  });
}"""


@pytest.fixture
async def admin(stack: Running) -> AsyncIterator[Person]:
    person = await log_in(stack, "admin")
    yield person
    await stand(person, "open")
    await person.close()


def film(name: str, rate: str) -> Path:
    """A master of its own for each `rate`."""
    inputs = (*media.picture("160x90", rate=rate, seconds=SECONDS), *media.tone(SECONDS))
    return media.master(f"e2e-{name}.mp4", *inputs, *media.H264, "-c:a", "aac")


async def job_of(seller: Person, title: str) -> dict[str, Any]:
    return dict((await seller.ask("GET", f"titles/{title}/jobs"))["items"][0])


async def test_film_goes_on_where_it_was_left_when_that_part_was_not_made_yet(
    seller: Person, admin: Person, open_page: Open, shots: Path | None
) -> None:
    title = await begun(seller, admin, film("left", "12"))
    page = await open_page(phone=True)
    await page.goto(title["watch_url"])
    await page.evaluate(LEFT_AT, SECONDS - 10)
    await page.evaluate(START)
    waits = page.get_by_text("This part is being made.")
    await expect(waits).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.locator("media-control-bar.bar-range[noautohide]")).to_be_visible()
    assert "linear-gradient" in str(await page.locator("media-time-range").get_attribute("style"))
    await fits(page)
    if shots:
        await page.screenshot(path=shots / "left-unmade.png")
    bar = page.locator("media-time-range")
    box = await bar.bounding_box()
    assert box
    await bar.click(position={"x": box["width"] * 0.06, "y": box["height"] / 2})
    await expect(waits).to_be_hidden(timeout=PATIENCE_MS)
    await page.wait_for_function(
        "() => { const { currentTime: at } = document.querySelector('video'); return at > 4 && at < 20; }"
    )
    await page.evaluate(SEEK, SECONDS - 10)
    await expect(waits).to_be_visible(timeout=PATIENCE_MS)
    await stand(admin, "open")
    await plays_past(page, SECONDS - 9)
    await expect(waits).to_be_hidden(timeout=PATIENCE_MS)


async def test_words_and_a_way_on_come_after_what_is_made_when_the_rest_will_not_be(
    stack: Running, seller: Person, admin: Person, open_page: Open, shots: Path | None
) -> None:
    title = await begun(seller, admin, film("stopped", "15"))
    page = await open_page(phone=True)
    await page.goto(title["watch_url"])
    await press_play(page)
    desk = await open_page(phone=True)
    await enter(desk, stack, "seller")
    await desk.goto(f"/studio/{title['id']}")
    await desk.get_by_role("button", name="Stop the work").click()
    await fits(desk)
    await desk.get_by_role("dialog").get_by_role("button", name="Stop the work").click()
    await expect(desk.get_by_text("The work on this file was cancelled.")).to_be_visible(timeout=PATIENCE_MS)
    assert (await job_of(seller, title["id"]))["state"] == "cancelled"

    await expect(page.get_by_role("heading", name="The rest could not be made")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.locator("media-controller")).to_have_count(0)
    await expect(page.locator("#making")).to_be_hidden()
    if shots:
        await page.screenshot(path=shots / "not-made.png")
        await desk.screenshot(path=shots / "stopped.png", full_page=True)
    await stand(admin, "open")
    await desk.get_by_role("button", name="Go on with it").click()
    await playable(seller, title["id"])
    await page.get_by_role("button", name="Try again").click()
    await plays_past(page, 9)


async def test_time_a_request_was_held_is_no_sign_of_a_slow_network(
    seller: Person, admin: Person, open_page: Open
) -> None:
    title = await begun(seller, admin, film("held", "10"))
    page = await open_page()
    held: list[Route] = []
    await page.route("**/held.m4s", lambda route: held.append(route))
    await page.clock.install()
    await page.goto(title["watch_url"])
    await page.evaluate(ASK)
    await passes(page, held, 8000)
    await held.pop().fulfill(status=503)
    await page.wait_for_timeout(0)
    await passes(page, held, 4000)
    await held.pop().fulfill(status=200, body=b"\0" * 1000)
    assert await page.evaluate("window.answered") < 1000


async def passes(page: Page, held: list[Route], milliseconds: int) -> None:
    """Let time go by on the page while a request is held."""

    async def asked() -> bool | None:
        await page.clock.run_for(100)
        return bool(held) or None

    await until(asked, within_s=60, what="a request")
    await page.clock.run_for(milliseconds)


async def playable(seller: Person, title: str) -> None:
    """Until a title can be watched, whole or not."""

    async def found() -> bool | None:
        return bool((await seller.ask("GET", f"titles/{title}"))["ceilings"]) or None

    await until(found, within_s=120, what="it can be watched")


async def fits(page: Page) -> None:
    """Nothing on the page is wider than its window."""
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
