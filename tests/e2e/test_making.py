"""A film that is watched while it is made, in a real browser: it plays, waits where it must, and goes on to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import Open
from tests.e2e.test_browser import enter, plays_past, press_play
from tests.e2e.test_odd_masters import KEEP_BUFFERS, to_the_end, upload
from tests.support import media
from tests.support.api import Person, log_in, until
from tests.support.stack import Running

#: Long enough for several chunks after the first, which is eight seconds.
SECONDS, PACE = 120, 6
#: What a page says comes by asking now and again.
PATIENCE_MS = 30_000
#: Goes to a place in the film; resolves when hls.js begins to look for it.
SEEK = """(at) => {
  const media = document.querySelector("video");
  const seeking = new Promise((done) => media.addEventListener("seeking", done, { once: true }));
  media.currentTime = at;
  return seeking.then(() => undefined);
}"""


@pytest.fixture
async def admin(stack: Running) -> AsyncIterator[Person]:
    person = await log_in(stack, "admin")
    yield person
    await stand(person, "open")
    await person.close()


@pytest.fixture(scope="module")
def master() -> Path:
    """Two minutes of film."""
    film = media.picture("320x180", seconds=SECONDS)
    return media.master("e2e-making.mp4", *film, *media.tone(SECONDS), *media.H264, "-c:a", "aac")


async def stand(admin: Person, state: str) -> None:
    """Let every worker of the farm take more work, or none."""
    for worker in (await admin.ask("GET", "farm"))["workers"]:
        await admin.ask("PUT", f"farm/workers/{worker['name']}", state=state)


async def begun(seller: Person, admin: Person, master: Path) -> dict[str, Any]:
    """A published title of which the farm has made the beginning, and makes no more until it is told to."""
    title = await upload(seller, "Harbour at dawn", master)

    async def playable() -> dict[str, Any] | None:
        found = await seller.ask("GET", f"titles/{title}")
        return found if found["making"] else None

    await until(playable, within_s=120, what="the beginning is made")
    await stand(admin, "cordon")
    return dict(await seller.ask("POST", f"titles/{title}/publish"))


async def whole(seller: Person, title: str) -> None:
    """Until all of a title is made."""

    async def made() -> bool | None:
        return None if (await seller.ask("GET", f"titles/{title}"))["making"] else True

    await until(made, within_s=120, what="all of it is made")


async def test_film_is_watched_from_its_beginning_to_its_end_while_it_is_made(
    seller: Person, admin: Person, open_page: Open, master: Path, shots: Path | None
) -> None:
    title = await begun(seller, admin, master)
    assert (title["state"], title["making"]) == ("published", True)
    page = await open_page()
    await page.add_init_script(KEEP_BUFFERS)
    await page.goto(title["watch_url"])
    await press_play(page)
    await plays_past(page, 2)
    told = await seller.ask("GET", f"titles/{title['id']}/making")
    assert told["making"] and told["made"][0][0] == 0.0 and told["made"][-1][1] < SECONDS - 10
    await expect(page.locator("#making")).to_contain_text("still being made", timeout=PATIENCE_MS)

    await page.evaluate(SEEK, SECONDS - 6)
    waits = page.get_by_text("This part is being made.")
    await expect(waits).to_be_visible(timeout=PATIENCE_MS)
    if shots:
        await page.screenshot(path=shots / "making.png")
    await stand(admin, "open")
    await plays_past(page, SECONDS - 5)
    await expect(waits).to_be_hidden(timeout=PATIENCE_MS)

    await whole(seller, title["id"])
    await expect(page.locator("#making")).to_be_hidden(timeout=PATIENCE_MS)
    assert await page.locator("#curtain").count() == 0
    await page.evaluate(SEEK, 0)
    seen = await to_the_end(page, PACE)
    assert seen["jumps"] == []
    assert [len(ranges) for ranges in (seen["film"], *seen["each"])] == [1, 1, 1]
    assert SECONDS - 0.2 < seen["at"] < SECONDS + 0.2


async def test_studio_offers_to_publish_while_the_rest_is_made(
    stack: Running, seller: Person, admin: Person, open_page: Open, shots: Path | None
) -> None:
    film = media.picture("320x180", rate="24", seconds=SECONDS)
    master = media.master("e2e-studio.mp4", *film, *media.tone(SECONDS), *media.H264, "-c:a", "aac")
    page = await open_page()
    await enter(page, stack, "seller")
    await page.goto("/studio")
    await page.locator("input[type=file]").set_input_files(master)
    await page.wait_for_url("**/studio/ttl_*")
    await page.locator("ol.steps").wait_for()
    await page.get_by_label("Description").fill("Not saved yet")
    await held_once_playable(page, seller, admin)
    await expect(page.get_by_text("It can be watched already.")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.get_by_label("Description")).to_have_value("Not saved yet")
    if shots:
        await page.screenshot(path=shots / "studio-making.png", full_page=True)
    await page.get_by_role("button", name="Publish", exact=True).click()
    await expect(page.get_by_label("Link to the watch page")).to_be_visible(timeout=PATIENCE_MS)
    await stand(admin, "open")
    await expect(page.get_by_text("up to 180p")).to_be_visible(timeout=4 * PATIENCE_MS)


async def held_once_playable(page: Page, seller: Person, admin: Person) -> None:
    """Stop the farm as soon as the title of this desk can be watched."""
    title = page.url.rsplit("/", 1)[1]

    async def playable() -> bool | None:
        return (await seller.ask("GET", f"titles/{title}"))["making"] or None

    await until(playable, within_s=120, what="the beginning is made")
    await stand(admin, "cordon")
