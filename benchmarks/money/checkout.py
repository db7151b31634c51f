"""Checkout by wallet over HTTP: control and its worker as `usher run` starts them, everything they confirm on disk."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from benchmarks.cases import percentile_ms
from benchmarks.money.stage import Stage
from benchmarks.report import Row
from shared.clock import ManualClock
from shared.ids import new_id
from tests.support.control import control_settings, running_control
from tests.support.ports import free_port
from tests.support.postgres import database
from tests.support.processes import processes
from tests.support.shop import Shop, open_shop
from tests.support.valkey import valkey

#: How many buy how many titles each, besides one who warms everything up.
FULL, QUICK = (60, 20), (4, 3)
PRICE, AT_ONCE = 499, 4
#: Limits that nobody meets.
WIDE = "1000000"


class Order(msgspec.Struct, frozen=True):
    """One click: whose, on which title, for which offer."""

    bearer: str
    title: str
    body: dict[str, Any]


async def rows(stage: Stage) -> list[Row]:
    """One buyer after the other, then several at once; afterwards everybody paid for what they have, once."""
    buyers, titles = QUICK if stage.quick else FULL
    with tempfile.TemporaryDirectory(prefix="usher-bench-money-") as folder, valkey(free_port()) as server:
        async with database(stage.server) as url:
            settings = control_settings(Path(folder), database_url=url, redis_url=server.url, limits_scale=float(WIDE))
            async with running_control(settings, ManualClock(datetime.now(UTC))) as control:
                stage.say(f"opening a shop with {titles} titles for {buyers} buyers …")
                shop = await open_shop(control, price=PRICE)
                orders = await _orders(shop, buyers + 1, titles)
                warm, half = orders[:titles], titles + titles * (buyers // 2)
                async with processes(settings, limits_scale=WIDE) as parts:
                    await _buy(parts.origin, warm, at_once=1)
                    alone = await _buy(parts.origin, orders[titles:half], at_once=1)
                    crowd = await _buy(parts.origin, orders[half:], at_once=AT_ONCE)
                await _sound(shop, len(orders))
    return _rows(alone, crowd)


async def _orders(shop: Shop, buyers: int, titles: int) -> list[Order]:
    """What is clicked, buyer by buyer."""
    offers = [(shop.title, shop.order())]
    for number in range(1, titles):
        title = await shop.seller.published(price_minor=PRICE, name=f"Part {number}")
        (offer,) = (await shop.seller.ask("GET", f"titles/{title['id']}/offers"))["items"]
        offers.append((title["id"], {"offer": offer["id"], "version": offer["version"]}))
    viewers = [await shop.viewer(f"buyer{number}", funds=titles * PRICE) for number in range(buyers)]
    return [Order(viewer.http.cookies["usher_session"], *offer) for viewer in viewers for offer in offers]


async def _buy(origin: str, orders: Sequence[Order], *, at_once: int) -> list[float]:
    """Seconds from each click to its answer, on connections that are open."""
    left, each_s = iter(orders), list[float]()

    async def buyer(http: httpx2.AsyncClient) -> None:
        for order in left:
            headers = {"Authorization": f"Bearer {order.bearer}", "Idempotency-Key": new_id("key")}
            began = time.perf_counter()
            answer = await http.post(f"/v1/titles/{order.title}/checkout", json=order.body, headers=headers)
            each_s.append(time.perf_counter() - began)
            assert answer.status_code == 201 and answer.json()["state"] == "paid", answer.text

    async with httpx2.AsyncClient(base_url=origin, timeout=60) as http:
        await asyncio.gather(*(buyer(http) for _ in range(at_once)))
    return each_s


async def _sound(shop: Shop, count: int) -> None:
    """All that was answered is there once, and everything adds up."""
    await shop.audit()
    (found,) = await shop.control.rows("select count(*)::int as n from entitlement where kind = 'purchase'")
    (left,) = await shop.control.rows("select sum(balance)::int as n from ledger_account where kind = 'wallet'")
    assert (found["n"], left["n"]) == (count, 0), (found, left, count)


def _rows(alone: Sequence[float], crowd: Sequence[float]) -> list[Row]:
    found = [
        ("checkout by wallet, one buyer after the other, p95", percentile_ms(alone, 95), 50.0),
        ("the same, p50", percentile_ms(alone, 50), None),
        (f"checkout by wallet, {AT_ONCE} buyers at once, p95", percentile_ms(crowd, 95), None),
    ]
    return [
        Row(case=case, ours=value, theirs=None, unit="ms", value=value, bar=bar, better="lower")
        for case, value, bar in found
    ]
