"""Purchases whose connections are killed at any moment: each ends paid and watchable, or not charged."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import asyncpg
import pytest

from gateway.control.idempotency.model import IN_FLIGHT_S
from shared.settings import ControlSettings
from tests.support.control import Control, control_settings
from tests.support.shop import Shop, Viewer, open_shop

#: Everybody else's connections to this database, one of them by chance.
KILL = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
order by random() limit 1
"""
BUYERS, KILLS = (200, 1000) if int(os.environ.get("USHER_CHAOS_ROUNDS", "1")) > 1 else (12, 60)


@pytest.fixture
def settings(tmp_path: Path, database_url: str, redis_url: str) -> ControlSettings:
    """Limits wide enough for those who ask again and again."""
    return control_settings(tmp_path, database_url=database_url, redis_url=redis_url, limits_scale=1000.0)


@pytest.fixture
async def shop(control: Control) -> Shop:
    """A title at 5.00."""
    return await open_shop(control)


async def test_purchases_whose_connections_are_killed_are_paid_once_and_watchable(
    shop: Shop, database_url: str
) -> None:
    viewers = [await shop.viewer(f"viewer{n}", funds=700) for n in range(BUYERS)]

    async def buy(viewer: Viewer) -> None:
        """Ask until it is bought; a key whose process lost its connection is free after its time."""
        while (answer := await shop.buy(viewer, key="once")).status_code != 201:
            assert answer.status_code == 409 and answer.json()["code"] == "in-flight", answer.text
            shop.control.clock.advance(IN_FLIGHT_S + 1)

    killer = await asyncpg.connect(database_url)

    async def kill() -> None:
        for _ in range(KILLS):
            await killer.fetch(KILL)
            await asyncio.sleep(random.uniform(0, 0.02))

    try:
        await asyncio.gather(kill(), *(buy(viewer) for viewer in viewers))
    finally:
        await killer.close()
    for viewer in viewers:
        assert await shop.amounts(f"wallet:{viewer.id}") == [200]
        assert await shop.rights(viewer) == ["own"]
    assert await shop.amounts("platform_fee") == [50 * BUYERS]
    states = await shop.control.rows("select state, count(*) as count from purchase group by state")
    assert states == [{"state": "paid", "count": BUYERS}]
    await shop.audit()
