"""A whole Usher and real browsers: Debian's Chromium, at the size of a desk or of a phone."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.support import chromium, media
from tests.support.api import Person, log_in, sign_up
from tests.support.stack import Running, running_stack

#: Clocks short enough to outlive in a test: the start window, the lease, and the beat that keeps a paused film's seat.
CLOCKS = {
    "USHER_PLAY_START_WINDOW_S": "6",
    "USHER_SEAT_LEASE_S": "6",
    "USHER_SEAT_RENEW_S": "2",
    "USHER_BEAT_S": "2",
}
#: Many tests log in, one soon after the other.
SHARED = {"USHER_LIMITS_SCALE": "20"}
#: Longest wait for what a page is to show.
PATIENCE_MS = 60_000
#: Length of the film that is watched.
SECONDS = 40
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
DESK = {"viewport": {"width": 1280, "height": 800}}
#: Opens a page of a fresh browser profile; `phone` for its size.
Open = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="session", autouse=True)
def patience() -> None:
    """Wait longer than Playwright's five seconds."""
    expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def chromium_program() -> str:
    """The browser to drive. In CI it must be there; elsewhere its absence is said."""
    found = chromium.program()
    if not found:
        words = "there is no Chromium: apt-get install chromium"
        pytest.fail(words) if os.environ.get("CI") else pytest.skip(words)
    return str(found)


@pytest.fixture(scope="session")
def chromium_address(chromium_program: str) -> Iterator[str]:
    """Where the one browser of all tests is joined."""
    with chromium.served(chromium_program) as address:
        yield address


@pytest.fixture
async def browser(chromium_address: str) -> AsyncIterator[Browser]:
    """A headless browser; what the test opens in it is closed after it."""
    async with async_playwright() as playwright:
        joined = await playwright.chromium.connect(chromium_address)
        yield joined
        await joined.close()


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One running Usher with short clocks, for all modules that neither break it nor want it another way."""
    with running_stack(tmp_path_factory.mktemp("usher"), demo=False, environ=CLOCKS | SHARED) as running:
        yield running


@pytest.fixture
def stack(shared_stack: Running) -> Running:
    """The same, with a viewer whom no other test knows."""
    people = shared_stack.accounts | {"viewer": sign_up(shared_stack, "viewer")}
    return msgspec.structs.replace(shared_stack, accounts=people)


@pytest.fixture(scope="session")
def plain_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One running Usher as `make run` starts it, with its demo, for modules that want its clocks."""
    with running_stack(tmp_path_factory.mktemp("plain"), environ=SHARED) as running:
        yield running


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


@pytest.fixture(scope="session")
def shelf() -> dict[str, dict[str, Any]]:
    """The title of all tests that only watch, by the Usher it is in, once the first of them made it."""
    return {}


@pytest.fixture
async def film(stack: Running, shelf: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A published title."""
    if stack.home not in shelf:
        seller = await log_in(stack, "seller")
        title = await seller.make_title(name="Harbour at dusk", kind="video", price_minor=0)
        upload = await seller.begin_upload(title, holiday())
        await seller.send(upload, holiday().read_bytes(), offset=0)
        await seller.wait_ready(title)
        shelf[stack.home] = dict(await seller.ask("POST", f"titles/{title}/publish"))
        await seller.close()
    return shelf[stack.home]


def holiday() -> Path:
    """The master of that title."""
    inputs = (*media.picture("640x360", seconds=SECONDS), *media.tone(SECONDS))
    return media.master("holiday.mp4", *inputs, *media.H264, "-c:a", "aac")


def _is_fault(kind: str, text: str) -> bool:
    """Script errors and broken policy; a refused request is logged by the browser as an error and is expected."""
    return kind == "error" and "Failed to load resource" not in text


@pytest.fixture
def shots() -> Path | None:
    """Where screenshots go when USHER_SHOTS names a folder."""
    return Path(os.environ["USHER_SHOTS"]) if "USHER_SHOTS" in os.environ else None
