"""What people do, in a real browser: sell, watch on a phone, run out of screens, pause for a long while."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from playwright.async_api import Page, Route, expect
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis

from infra.stack.accounts import Account
from tests.e2e.conftest import Open, holiday
from tests.support.api import log_in, until
from tests.support.players import linked
from tests.support.stack import Running

PASSWORD = "a long enough password"


#: The pseudonym under which a viewer holds seats.
SUB = "select sub from principal join account on principal.id = account.principal where username = $1"


@pytest.fixture
def master() -> Path:
    return holiday()


@pytest.fixture
def film(film: dict[str, Any]) -> str:
    """The path of its watch page."""
    return str(film["watch_url"])


async def enter(page: Page, stack: Running, who: str | Account) -> None:
    """Log in through the page, with an account or as one that the stack names."""
    account = stack.accounts[who] if isinstance(who, str) else who
    await page.goto("/login")
    await page.get_by_label("E-mail or user name").fill(account.username)
    await page.get_by_label("Password", exact=True).fill(account.password or "")
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url(lambda url: "/login" not in url)


async def press_play(page: Page) -> str:
    """Press play and wait until the picture moves; the session's id."""
    async with page.expect_response(re.compile(r"/v1/titles/[^/]+/play$")) as answer:
        await page.get_by_role("button", name=re.compile("^Play ")).first.click()
    told = await (await answer.value).json()
    await plays_past(page, 0.5)
    return str(told["sid"])


async def plays_past(page: Page, seconds: float) -> None:
    """Until the film's clock stands past `seconds`."""
    await page.wait_for_function("at => document.querySelector('video')?.currentTime > at", arg=seconds)


async def position(page: Page) -> float:
    """Where the film's clock stands; -1 where there is none."""
    return float(await page.evaluate("document.querySelector('video')?.currentTime ?? -1"))


async def seated(stack: Running) -> list[int]:
    """How many seats the viewer holds now; empty for none."""
    database = await asyncpg.connect(stack.database_url)
    redis: Redis = Redis.from_url(stack.redis_url)
    try:
        sub = await database.fetchval(SUB, stack.accounts["viewer"].username)
        return [await redis.zcard(key) async for key in redis.scan_iter(f"seat:*{sub}*")]
    finally:
        await redis.aclose()
        await database.close()


async def test_new_account_sells_and_a_phone_watches_what_it_published(
    stack: Running, open_page: Open, master: Path, shots: Path | None
) -> None:
    page = await open_page()
    await page.goto("/register")
    await page.get_by_label("E-mail").fill("ada@usher.example")
    await page.get_by_label("User name").fill("ada")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await page.wait_for_url(lambda url: "/register" not in url)
    await page.goto("/studio")
    await page.get_by_label("Your name as a seller").fill("Ada Films")
    await page.get_by_role("button", name="Become a seller").click()

    await page.locator("input[type=file]").set_input_files(master)
    await expect(page.locator("dl.renditions progress").first).to_be_attached()
    if shots:
        await page.screenshot(path=shots / "studio.png")
    await page.get_by_role("button", name="Publish", exact=True).click(timeout=120_000)
    link = await page.get_by_label("Link to the watch page").input_value()

    phone = await open_page(phone=True)
    await enter(phone, stack, "viewer")
    await phone.goto(link)
    await press_play(phone)
    await plays_past(phone, 2)
    if shots:
        await phone.screenshot(path=shots / "phone.png")


async def test_seeking_and_reload_keep_one_seat(stack: Running, open_page: Open, film: str) -> None:
    page = await open_page(phone=True)
    await enter(page, stack, "viewer")
    await page.goto(film)
    session = await press_play(page)
    await page.evaluate("document.querySelector('video').currentTime = 25")
    await plays_past(page, 26)

    await page.reload()
    assert await press_play(page) == session
    assert await seated(stack) == [1]


async def test_seek_bar_shows_what_there_is_at_the_place_pointed_at(
    open_page: Open, film: str, shots: Path | None
) -> None:
    page = await open_page()
    await page.goto(film)
    await press_play(page)
    box = await page.locator("media-time-range").bounding_box()
    assert box
    async with page.expect_response(re.compile(r"/sprites/\d+\.jpg$")) as sheet:
        await page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + box["height"] / 2)
    assert (await sheet.value).status == 200
    shown = "() => document.querySelector('media-time-range').hasAttribute('mediapreviewimage')"
    await page.wait_for_function(shown)
    if shots:
        await page.wait_for_timeout(500)
        await page.screenshot(path=shots / "sprites.png")


async def test_third_screen_is_told_who_watches_and_takes_the_place_of_one(
    stack: Running, open_page: Open, film: str, shots: Path | None
) -> None:
    pages = []
    for _ in range(2):
        page = await open_page()
        await enter(page, stack, "viewer")
        await page.goto(film)
        await press_play(page)
        pages.append(page)

    third = await open_page(phone=True)
    await enter(third, stack, "viewer")
    await third.goto(film)
    await third.get_by_role("button", name=re.compile("^Play ")).first.click()
    curtain = third.get_by_role("alert")
    await expect(curtain).to_contain_text("All your screens are in use")
    await expect(curtain.locator("li")).to_have_count(2)
    await expect(curtain.locator("li").first).to_contain_text("Chrome on Linux")
    if shots:
        await third.screenshot(path=shots / "third.png")

    await curtain.get_by_role("radio").nth(1).check()
    await curtain.get_by_role("button", name="Play here instead").click()
    await plays_past(third, 0.5)
    await expect(pages[1].get_by_role("alert")).to_contain_text("Stopped from another screen")
    assert await position(pages[0]) > 0
    assert await seated(stack) == [2]


async def test_film_paused_past_every_clock_plays_on_by_the_same_address(
    stack: Running, open_page: Open, film: str
) -> None:
    page = await open_page()
    tokens: set[str] = set()
    page.on("request", lambda asked: tokens.update(re.findall(r"/t/([^/]+)/v/", asked.url)))

    async def silent(route: Route) -> None:
        await route.abort()

    await page.route("**/beat?*", silent)
    await enter(page, stack, "viewer")
    await page.goto(film)
    await press_play(page)
    await page.evaluate("document.querySelector('video').pause()")

    async def lapsed() -> bool:
        return await seated(stack) == []

    for _ in range(300):
        if await lapsed():
            break
        await page.wait_for_timeout(100)
    assert await lapsed()
    await page.wait_for_timeout(6_000)  # the start window is over too

    await page.evaluate("v => { v.currentTime = 30; return v.play() }", await page.query_selector("video"))
    await plays_past(page, 31)
    assert len(tokens) == 1


async def test_page_tells_how_the_film_fares_while_the_flag_is_on(stack: Running, open_page: Open, film: str) -> None:
    admin = await log_in(stack, "admin")
    await admin.ask("PUT", "flags/qoe.enabled", enabled=True)
    page = await open_page()
    await enter(page, stack, "viewer")
    await page.goto(film)
    await press_play(page)
    await plays_past(page, 3)

    async def told() -> bool | None:
        async with linked(stack.ports["edge-private"]) as link:
            scrape = (await link.ask("GET", "/metrics", headers={"connection": "close"})).body.decode()
        samples = {
            (s.name, s.labels.get("object")): s.value for f in text_string_to_metric_families(scrape) for s in f.samples
        }
        of_all = ("usher_qoe_startup_seconds_count", None), ("usher_qoe_throughput_bps_count", None)
        of_film = ("usher_qoe_bitrate_bps_count", "video"), ("usher_qoe_buffer_seconds_count", "video")
        assert not samples.get(("usher_qoe_reports_total", "malformed"))
        return all(samples.get(name) for name in (*of_all, *of_film)) or None

    await until(told, within_s=60, what="the edge knows how the film fares")
    await admin.ask("PUT", "flags/qoe.enabled", enabled=False)
    await admin.close()
