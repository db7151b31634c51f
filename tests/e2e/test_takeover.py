"""One screen and two players that want it; a long pause; a film that goes on where it stopped elsewhere."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import CLOCKS, SECONDS, Open
from tests.e2e.test_browser import enter, plays_past, position, press_play, seated
from tests.support import media
from tests.support.api import Person, until
from tests.support.stack import Running, running_stack

ONE_SCREEN = CLOCKS | {
    "USHER_SCREENS": "1",
    "USHER_SEATS_POLICY": "takeover_oldest",
    "USHER_SEAT_LEASE_S": "4",
    "USHER_SEAT_RENEW_S": "1",
    "USHER_BEAT_S": "1",
}
#: Longer than a beat, a renewal and a lease: whoever would come back by itself does so within this.
QUIET_MS = 5_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running Usher that gives one screen to a viewer, and it to the newest."""
    with running_stack(tmp_path_factory.mktemp("usher"), demo=False, environ=ONE_SCREEN) as running:
        yield running


async def open_film(open_page: Open, stack: Running, film: dict[str, Any], *, phone: bool = False) -> Page:
    """The film's page, logged in as the viewer."""
    page = await open_page(phone=phone)
    await enter(page, stack, "viewer")
    await page.goto(film["watch_url"])
    return page


async def test_of_two_players_on_one_screen_the_older_stops_for_good(
    stack: Running, open_page: Open, film: dict[str, Any], shots: Path | None
) -> None:
    older = await open_film(open_page, stack, film)
    asked: list[str] = []
    older.on("request", lambda request: asked.append(request.url) if request.url.endswith("/play") else None)
    await press_play(older)
    newer = await open_film(open_page, stack, film, phone=True)
    await press_play(newer)

    curtain = older.get_by_role("alert")
    await expect(curtain).to_contain_text("Playing on another screen")
    before = await position(newer)
    await newer.wait_for_timeout(QUIET_MS)
    await expect(curtain).to_contain_text("Playing on another screen")
    assert len(asked) == 1, "it asked for the screen again by itself"
    await plays_past(newer, before + 2)
    assert await seated(stack) == [1]
    if shots:
        await older.screenshot(path=shots / "taken-over.png")

    await older.get_by_role("button", name="Play here").click()
    await plays_past(older, before)
    await expect(newer.get_by_role("alert")).to_contain_text("Playing on another screen")


async def test_film_stopped_for_longer_than_every_clock_plays_on_in_ffmpeg_by_the_same_address(
    stack: Running, viewer: Person, film: dict[str, Any]
) -> None:
    link = await viewer.ask("POST", f"titles/{film['id']}/play")
    # Slower than it could, so that most of the film is still to come when it is stopped.
    command = [media.WHEEL, "-v", "error", "-nostdin", "-progress", "pipe:1", "-readrate", "4", "-i", link["url"]]
    player = subprocess.Popen(  # noqa: ASYNC220 - a signal stops it, whatever the loop does
        [*command, "-map", "0:v:0", "-c", "copy", "-f", "null", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )

    async def screens() -> list[str]:
        return [seat["id"] for seat in (await viewer.ask("GET", "me/sessions"))["items"]]

    try:

        async def taken() -> bool | None:
            return True if link["sid"] in await screens() else None

        async def lapsed() -> bool | None:
            return True if await screens() == [] else None

        await until(taken, within_s=60, what="a seat")
        player.send_signal(signal.SIGSTOP)
        await until(lapsed, within_s=60, what="the seat to lapse")
        window = datetime.fromisoformat(link["expires_at"]) - datetime.now(UTC)
        await asyncio.sleep(max(0.0, window.total_seconds()) + 0.5)
        player.send_signal(signal.SIGCONT)
        told, failed = await asyncio.to_thread(player.communicate, timeout=60)
    finally:
        player.kill()
        player.wait()
    assert player.returncode == 0, failed.decode()
    assert f"frame={SECONDS * 25}\n" in told.decode()


async def test_film_goes_on_in_another_browser_where_it_stopped(
    stack: Running, open_page: Open, viewer: Person, film: dict[str, Any], shots: Path | None
) -> None:
    desk = await open_film(open_page, stack, film)
    await press_play(desk)
    await desk.evaluate("document.querySelector('video').currentTime = 22")
    await plays_past(desk, 22.5)
    await desk.evaluate("document.querySelector('video').pause()")

    async def known() -> float | None:
        found = await viewer.left_at(film["id"])
        return found if found and found > 22 else None

    await until(known, within_s=60, what="the place in the film")
    await desk.close()

    phone = await open_page(phone=True)
    await enter(phone, stack, "viewer")
    await phone.goto("/")
    row = phone.get_by_role("region", name="Continue watching")
    await expect(row.get_by_role("progressbar").first).to_be_visible()
    if shots:
        await phone.screenshot(path=shots / "continue.png")
    await row.get_by_role("link", name="Harbour at dusk").first.click()
    await press_play(phone)
    assert 21 < await position(phone) < 38
