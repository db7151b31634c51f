"""A house of connections whose sockets, clock and playback are the tests' own."""

from __future__ import annotations

from typing import cast

import pytest

from gateway.edge.http1.server import House
from gateway.edge.playback import Playback
from tests.support.http1 import SETTINGS, Client, Clock, Stage, client_of


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def house(stage: Stage, clock: Clock) -> House:
    return House(cast(Playback, stage), stage.rest, SETTINGS, now=lambda: 0.0, tick=clock)


@pytest.fixture
async def client(house: House) -> Client:
    return client_of(house)
