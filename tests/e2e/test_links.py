"""Links that the edge does not take at first: the page finds its way on by itself, and the film begins."""

from __future__ import annotations

import re
from typing import Any

from playwright.async_api import Page, Route

from tests.e2e.conftest import Open
from tests.e2e.test_browser import plays_past

#: A playlist at the edge, and the token that opens it.
PLAYLIST = re.compile(r"/t/([^/]+)/v/.*\.m3u8")
#: What lets a page read an answer of the edge.
READABLE = {"Access-Control-Allow-Origin": "*"}
#: Requests of hls.js for a first playlist that fails.
REQUESTS = 2
#: Links that are over, and the looks at the right before the third.
OVER, LOOKS = 2, 3


async def press(page: Page, film: dict[str, Any]) -> None:
    """Press play, and do not wait for a picture."""
    await page.goto(film["watch_url"])
    await page.get_by_role("button", name=re.compile("^Play ")).first.click()


async def test_film_begins_when_its_first_playlist_could_not_be_had_for_a_moment(
    open_page: Open, film: dict[str, Any]
) -> None:
    failed: list[str] = []

    async def fail(route: Route) -> None:
        if len(failed) == REQUESTS:
            await route.continue_()
            return
        failed.append(route.request.url)
        await route.fulfill(status=503, headers=READABLE)

    page = await open_page()
    await page.route(PLAYLIST, fail)
    await press(page, film)
    await plays_past(page, 0.5)
    assert len(failed) == REQUESTS


async def test_link_that_is_over_at_once_gives_way_to_another_when_the_right_stands(
    open_page: Open, film: dict[str, Any]
) -> None:
    over: set[str] = set()
    looks: list[str] = []

    async def refuse(route: Route) -> None:
        found = PLAYLIST.search(route.request.url)
        assert found
        if len(over) < OVER:
            over.add(found[1])
        if found[1] in over:
            await route.fulfill(status=401, headers=READABLE, json={"code": "start-window-over"})
        else:
            await route.continue_()

    page = await open_page()
    page.on("request", lambda asked: looks.append(asked.url) if asked.url.endswith("/making") else None)
    await page.route(PLAYLIST, refuse)
    await press(page, film)
    await plays_past(page, 0.5)
    assert (len(over), len(looks)) == (OVER, LOOKS)
