"""A shop whose pages browsers reach, and the people in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.async_api import Locator, Page

from shared.clock import ManualClock
from shared.settings import ControlSettings
from tests.support.served import served
from tests.support.shop import Shop, Viewer, open_shop


@pytest.fixture
async def shop(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Shop]:
    """A title at 5.00 in a control plane that browsers reach."""
    async with served(settings, clock) as control:
        yield await open_shop(control)


@pytest.fixture
def stack(shop: Shop) -> SimpleNamespace:
    """Where pages are."""
    return SimpleNamespace(addresses={"control": shop.control.settings.public_origin})


@pytest.fixture
async def admin(shop: Shop) -> Viewer:
    """Somebody who runs the platform."""
    return await shop.viewer("ada", role="admin")


@pytest.fixture
async def vera(shop: Shop) -> Viewer:
    """A viewer with 20.00."""
    return await shop.viewer("vera", funds=2000)


async def enter(page: Page, who: Viewer, path: str) -> Page:
    """A page as somebody who is logged in sees it."""
    cookies: Any = [
        {"name": name, "value": value, "url": str(who.http.base_url)} for name, value in who.http.cookies.items()
    ]
    await page.context.add_cookies(cookies)
    await page.goto(path)
    return page


def tile(page: Page, words: str) -> Locator:
    """A figure that stands on its own."""
    return page.locator(".tile").filter(has=page.get_by_text(words, exact=True))
