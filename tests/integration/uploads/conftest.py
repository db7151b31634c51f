"""A seller with a title to upload to."""

from __future__ import annotations

import pytest

from tests.support.control import Control
from tests.support.titles import Desk, desk
from tests.support.tus import Client


@pytest.fixture
async def seller(control: Control) -> Desk:
    return await desk(control)


@pytest.fixture
async def client(seller: Desk) -> Client:
    return Client(seller.http, (await seller.title())["id"])
