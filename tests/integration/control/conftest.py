"""Who most tests of control are about: a seller at work, and a shop that sells one title."""

from __future__ import annotations

import pytest

from tests.support.control import Control
from tests.support.shop import Shop, open_shop
from tests.support.titles import Desk, desk


@pytest.fixture
async def seller(control: Control) -> Desk:
    """A seller at work."""
    return await desk(control)


@pytest.fixture
async def shop(control: Control) -> Shop:
    """A title at 5.00."""
    return await open_shop(control)
