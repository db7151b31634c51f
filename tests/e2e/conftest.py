"""A whole Usher and real browsers: Debian's Chromium, at the size of a desk or of a phone."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.support import media
from tests.support.api import Person, log_in
from tests.support.stack import Running, running_stack

#: Clocks short enough to outlive in a test: the start window, the lease, and the beat that keeps a paused film's seat.
CLOCKS = {
    "USHER_PLAY_START_WINDOW_S": "6",
    "USHER_SEAT_LEASE_S": "6",
    "USHER_SEAT_RENEW_S": "2",
    "USHER_BEAT_S": "2",
}
#: Longest wait for what a page is to show.
PATIENCE_MS = 60_000
#: Length of the film that is watched.
SECONDS = 40
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
DESK = {"viewport": {"width": 1280, "height": 800}}
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
#: Opens a page of a fresh browser profile; `phone` for its size.
Open = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="session", autouse=True)
def patience() -> None:
    """Wait longer than Playwright's five seconds."""
    expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser to drive. In CI it must be there; elsewhere its absence is said."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        words = "there is no Chromium: apt-get install chromium"
        pytest.fail(words) if os.environ.get("CI") else pytest.skip(words)
    return str(found)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running Usher with short clocks."""
    with running_stack(tmp_path_factory.mktemp("usher"), demo=False, environ=CLOCKS) as running:
        yield running


@pytest.fixture
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """A headless browser."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield launched
        await launched.close()


@pytest.fixture
async def open_page(browser: Browser, stack: Running) -> AsyncIterator[Open]:
    """Pages of fresh profiles; a page that logged an error to its console fails the test."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    async def opened(*, phone: bool = False) -> Page:
        context = await browser.new_context(base_url=stack.addresses["control"], **(PHONE if phone else DESK))
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if _is_fault(line.type, line.text) else None)
        return page

    yield opened
    for context in contexts:
        await context.close()
    assert errors == []


@pytest.fixture
async def viewer(stack: Running) -> AsyncIterator[Person]:
    """The viewer's account, as a program uses it."""
    person = await log_in(stack, "viewer")
    yield person
    await person.close()


@pytest.fixture
async def seller(stack: Running) -> AsyncIterator[Person]:
    """The seller whose studio comes with every Usher."""
    person = await log_in(stack, "seller")
    yield person
    await person.close()


@pytest.fixture(scope="module")
def shelf() -> dict[str, Any]:
    """The title of a module's tests, once the first of them made it."""
    return {}


@pytest.fixture
async def film(stack: Running, shelf: dict[str, Any]) -> dict[str, Any]:
    """A published title."""
    if shelf:
        return shelf
    master = media.master(
        "holiday.mp4", *media.picture("640x360", seconds=SECONDS), *media.tone(SECONDS), *media.H264, "-c:a", "aac"
    )
    seller = await log_in(stack, "seller")
    title = await seller.make_title(name="Harbour at dusk", kind="video", price_minor=0)
    upload = await seller.begin_upload(title, master)
    await seller.send(upload, master.read_bytes(), offset=0)
    await seller.wait_ready(title)
    shelf.update(await seller.ask("POST", f"titles/{title}/publish"))
    await seller.close()
    return shelf


def _is_fault(kind: str, text: str) -> bool:
    """Script errors and broken policy; a refused request is logged by the browser as an error and is expected."""
    return kind == "error" and "Failed to load resource" not in text


@pytest.fixture
def shots() -> Path | None:
    """Where screenshots go when USHER_SHOTS names a folder."""
    return Path(os.environ["USHER_SHOTS"]) if "USHER_SHOTS" in os.environ else None
