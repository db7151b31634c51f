"""What is kept of rights for pages: it is used while it holds, and counts no more once something behind it changed."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from gateway.control.auth import Principal
from gateway.control.catalogue.model import Title
from gateway.control.entitlements import actions as entitlements
from gateway.control.entitlements.model import Standing
from gateway.control.entitlements.standings import RedisStandings
from tests.support.control import Control, register
from tests.support.market import ask, sell, tell
from tests.support.titles import Desk, desk


class Asked:
    """Transactions counted."""

    def __init__(self, control: Control) -> None:
        self.count, self._begin = 0, control.wiring["begin"]

    def begin(self) -> Any:
        self.count += 1
        return self._begin()


class House:
    """A title, somebody who may buy it, and standings whose questions to the database are counted."""

    def __init__(self, control: Control, seller: Desk, title: Title, viewer: Principal) -> None:
        self.control, self.seller, self.title, self.viewer = control, seller, title, viewer
        self.asked = Asked(control)
        self.standings = RedisStandings(control.wiring["events"], self.asked.begin)

    async def reason(self, viewer: Principal | None) -> str:
        now = self.control.clock.now()
        found = await entitlements.may_see(self.title, viewer, standings=self.standings, now=now)
        return found.decision.reason

    async def look(self, viewer: Principal | None) -> tuple[str, int]:
        """What is said, and how many questions that took."""
        before = self.asked.count
        return await self.reason(viewer), self.asked.count - before


@pytest.fixture
async def house(control: Control) -> House:
    """All of it."""
    seller = await desk(control)
    made = await seller.published(price_minor=999)
    me = await register(control.browser(), "vera")
    async with control.wiring["begin"]() as unit:
        title, viewer = await unit.catalogue.by_id(made["id"]), await unit.entitlements.principal(me["id"])
    assert title is not None and viewer is not None
    await tell(control)
    return House(control, seller, title, viewer)


async def test_right_is_asked_of_the_database_once_while_nothing_changes(house: House) -> None:
    await sell(house.control, house.viewer.id, house.title.id)
    await tell(house.control)
    looks = [await house.look(house.viewer) for _ in range(3)]
    assert looks == [("purchase", 1), ("purchase", 0), ("purchase", 0)]
    assert [await house.look(None) for _ in range(2)] == [("no-right", 1), ("no-right", 0)]


async def test_nobody_who_has_just_paid_is_told_that_they_have_not(house: House) -> None:
    assert await house.reason(house.viewer) == "no-right"
    await sell(house.control, house.viewer.id, house.title.id)
    assert await house.reason(house.viewer) == "purchase"


async def test_what_is_kept_counts_no_more_when_a_right_a_block_or_an_offer_changed(house: House) -> None:
    control, viewer = house.control, house.viewer
    source = await sell(control, viewer.id, house.title.id)
    assert await house.reason(viewer) == "purchase"
    async with control.wiring["begin"]() as unit:
        await entitlements.take_back(
            source, house.title, entitlements=unit.entitlements, outbox=unit.outbox, clock=control.clock
        )
    assert await house.reason(viewer) == "purchase", "the relay has not told of it yet"
    await tell(control)
    assert await house.reason(viewer) == "no-right"
    await sell(control, viewer.id, house.title.id)
    await house.seller.ask("PUT", "sellers/studio/blocked/vera", 204)
    await tell(control)
    assert await house.reason(viewer) == "blocked"
    assert await house.reason(None) == "no-right"
    await ask(house.seller.http, "POST", f"titles/{house.title.id}/offers", 201, kind="free")
    await tell(control)
    assert await house.reason(None) == "free"


async def test_entry_read_before_a_change_is_not_taken_for_one_read_after_it(house: House) -> None:
    control, viewer = house.control, house.viewer
    source = await sell(control, viewer.id, house.title.id)

    class Slow(RedisStandings):
        """Takes the right back between reading and keeping it."""

        async def _ask(self, title: Title, viewer: Principal | None) -> Standing:
            found = await super()._ask(title, viewer)
            async with control.wiring["begin"]() as unit:
                await entitlements.take_back(
                    source, title, entitlements=unit.entitlements, outbox=unit.outbox, clock=control.clock
                )
            await tell(control)
            return found

    quick, house.standings = house.standings, Slow(control.wiring["events"], house.asked.begin)
    assert await house.reason(viewer) == "purchase"
    house.standings = quick
    assert await house.reason(viewer) == "no-right"


async def test_redis_that_lost_its_memory_brings_no_old_right_back(house: House, redis: Redis) -> None:
    source = await sell(house.control, house.viewer.id, house.title.id)
    assert await house.reason(house.viewer) == "purchase"
    async with house.control.wiring["begin"]() as unit:
        await entitlements.take_back(
            source, house.title, entitlements=unit.entitlements, outbox=unit.outbox, clock=house.control.clock
        )
    for key in await redis.keys("epoch:*"):
        await redis.delete(key)
    assert await house.reason(house.viewer) == "no-right"


async def test_database_is_asked_when_redis_is_gone(house: House) -> None:
    gone = Redis.from_url("redis://127.0.0.1:1")
    standings = RedisStandings(gone, house.asked.begin)
    await sell(house.control, house.viewer.id, house.title.id)
    now = house.control.clock.now()
    found = await entitlements.may_see(house.title, house.viewer, standings=standings, now=now)
    assert found.decision.reason == "purchase"
    await gone.aclose()
