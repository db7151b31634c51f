"""kill -9 of control and of its worker while people buy: each purchase ends paid and watchable, or not charged."""

from __future__ import annotations

import asyncio
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import httpx2
import msgspec
import pytest

from gateway.control.reconciliation.actions import reconcile
from shared.settings import ControlSettings
from tests.support.control import Control, control_settings
from tests.support.patience import until
from tests.support.processes import PARTS, Processes, processes
from tests.support.shop import Shop, Viewer, open_shop

#: `make chaos` buys 200 times; `make test` a tenth of that.
IS_LONG = int(os.environ.get("USHER_CHAOS_ROUNDS", "1")) > 1
ROUNDS, BUYERS = (40, 5) if IS_LONG else (4, 5)
#: In this time of a round something is killed; most purchases take less than that.
MOMENT_S = 0.25
FUNDS, PRICE = 700, 500
APPROVED = "4242424242424242"

#: `wallet`, `card`: asks until it is bought. The others ask once and leave, one of them with its page unpaid.
Habit = Literal["wallet", "wallet once", "card", "card once", "card unpaid"]
HABITS: tuple[Habit, ...] = ("wallet", "wallet once", "card", "card once", "card unpaid")
#: The minute passes after which a key whose process died is free.
MINUTE = "update idempotency set at = at - interval '1 hour' where state = 'in_flight'"
#: The half hour passes after which nobody pays any more.
HALF_HOUR = "update purchase set expires_at = now(), look_at = now() where state in ('new', 'authorized')"
OPEN = """
select (select count(*) from purchase where state in ('new', 'authorized'))
    + (select count(*) from provider_event where handled_at is null)
    + (select count(*) from sandbox_notice where told_at is null)
    + (select count(*) from refund where state = 'asked')
    + (select count(*) from outbox where relayed_at is null) as n
"""


class Buyer(msgspec.Struct, frozen=True):
    """Somebody who buys once, their way."""

    viewer: Viewer
    habit: Habit
    key: str

    @property
    def persists(self) -> bool:
        """Whether they are not content with less than having bought it."""
        return self.habit in ("wallet", "card")


class Market:
    """The shop's title, sold by a control that is killed."""

    def __init__(self, shop: Shop, parts: Processes) -> None:
        self.shop, self.parts = shop, parts

    async def ask(self, buyer: Buyer, path: str, body: Any) -> httpx2.Response | None:
        """One call; None where nothing was answered."""
        signed = buyer.viewer.http.cookies["usher_session"]
        headers = {"Authorization": f"Bearer {signed}", "Idempotency-Key": buyer.key}
        try:
            async with httpx2.AsyncClient(base_url=self.parts.origin, timeout=30) as http:
                return await http.post(f"/v1/{path}", json=body, headers=headers)
        except httpx2.HTTPError:
            return None

    async def check_out(self, buyer: Buyer) -> dict[str, Any] | None:
        """Ask for the title; again and again for who persists. None for who left without an answer."""
        body = self.shop.order(pay="wallet" if buyer.habit.startswith("wallet") else "sandbox")
        path = f"titles/{self.shop.title}/checkout"

        async def bought() -> dict[str, Any] | None:
            answer = await self.ask(buyer, path, body)
            if answer is None or answer.status_code in (409, 503):
                assert answer is None or answer.json()["code"] in ("in-flight", "unavailable", "provider-unavailable")
                await self.shop.control.rows(MINUTE)
                return None
            assert answer.status_code == 201, answer.text
            return dict(answer.json())

        return await until(bought, what=f"{buyer.habit} bought") if buyer.persists else await bought()

    async def buy(self, buyer: Buyer) -> None:
        """Their way."""
        purchase = await self.check_out(buyer)
        if purchase is None or not purchase["url"] or buyer.habit == "card unpaid":
            return
        path = f"sandbox/payments/{purchase['url'].rsplit('/', 1)[-1]}/card"

        async def paid() -> bool:
            answer = await self.ask(buyer, path, {"number": APPROVED})
            return answer is not None and answer.status_code in (200, 409)

        if buyer.persists:
            await until(paid, what="paid by card")
        else:
            await paid()

    async def end(self) -> None:
        """Time passes, and the worker does what is left to do."""

        async def over() -> bool:
            await self.shop.control.rows(HALF_HOUR)
            return (await self.shop.control.rows(OPEN))[0]["n"] == 0

        await until(over, what="nothing is open")

    async def check(self, buyer: Buyer) -> None:
        """Paid, with a right and a link that are worth it; or nothing of it."""
        rights, viewer = await self.shop.rights(buyer.viewer), buyer.viewer
        rows = await self.shop.control.rows("select state, rail from purchase where principal = $1", viewer.id)
        paid = [row["rail"] for row in rows if row["state"] == "paid"]
        (left,) = await self.shop.amounts(f"wallet:{viewer.id}")
        assert rights == ["own"] * len(paid) and len(paid) <= 1, (buyer.habit, rows)
        assert left == (FUNDS - PRICE if paid == ["wallet"] else FUNDS), (buyer.habit, rows)
        assert paid or not buyer.persists, (buyer.habit, rows)
        answer = await self.ask(buyer, f"titles/{self.shop.title}/play", {})
        assert answer is not None and answer.status_code == (200 if paid else 403), (buyer.habit, rows)


@pytest.fixture
def settings(tmp_path: Path, database_url: str, redis_url: str) -> ControlSettings:
    """State that processes share with this one."""
    return control_settings(tmp_path, database_url=database_url, redis_url=redis_url, limits_scale=1000.0)


async def test_purchases_end_paid_and_watchable_or_not_charged_whatever_is_killed(control: Control) -> None:
    chance, shop = random.Random(5), await open_shop(control, price=PRICE)
    buyers = []
    for number in range(ROUNDS * BUYERS):
        viewer = await shop.viewer(f"viewer{number}", funds=FUNDS)
        buyers.append(Buyer(viewer, HABITS[number % len(HABITS)], f"key-{number}"))
    async with processes(control.settings, limits_scale="1000") as parts:
        market = Market(shop, parts)
        for first in range(0, len(buyers), BUYERS):
            victim = PARTS[first // BUYERS % len(PARTS)]

            async def kill(part: str = victim) -> None:
                await asyncio.sleep(chance.uniform(0, MOMENT_S))
                await parts.replace(part)

            await asyncio.gather(kill(), *(market.buy(buyer) for buyer in buyers[first : first + BUYERS]))
        await market.end()
        for buyer in buyers:
            await market.check(buyer)
    now, wiring = datetime.now(UTC), control.wiring
    span = now - timedelta(days=1), now + timedelta(minutes=1)
    found = await reconcile(*span, providers=wiring["providers"], begin=wiring["begin"], clock=control.clock)
    assert found.differences == [] and found.purchases > 0
    states = {row["state"] for row in await control.rows("select distinct state from purchase")}
    assert states <= {"paid", "expired", "refunded"}
    await shop.audit()
