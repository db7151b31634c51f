"""Rows of the outbox that can never leave: kept, told of, and out of the way of those behind them."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError
from structlog.testing import capture_logs

from gateway.control.outbox import PUSH, TASK, Withdrawal
from gateway.control.worker import process, relay
from gateway.control.worker.broker import Broker
from gateway.control.worker.dispatch import Dispatch
from shared.events import REVOKED, Push
from shared.metrics import REGISTRY
from shared.need import Needs, Offer, over
from tests.support.control import Control
from tests.support.ports import free_base
from tests.support.valkey import valkey
from tests.support.worker import drained, until, waiting, working

ADD = "insert into outbox (id, topic, type, subject, data) values ($1, $2, $3, 's', $4)"
NOTHING: Any = msgspec.to_builtins(Offer("v1", "cpu", "s", 0, 1.0, 0, {}, {}))


async def _behind(control: Control) -> None:
    """A good row of each topic, behind all there is."""
    async with control.wiring["begin"]() as unit:
        await unit.outbox.withdraw(Withdrawal("v9", is_over=True))
        await unit.outbox.push(Push(kind="sub", key="sub_1", iat=7))


@pytest.mark.parametrize(
    ("topic", "type", "body"),
    [
        (PUSH, "push.sub", {"kind": "sub", "key": "sub_9", "iat": "now"}),
        (PUSH, "push.sub", []),
        (TASK, "farm.withdrawal", {"plan": 5}),
        (TASK, "farm.offer", {"plan": "v1"}),
        (TASK, "farm.offer", NOTHING),
        (TASK, "farm.unknown", {"plan": "v1"}),
    ],
    ids=["push of no moment", "list", "plan that is a number", "half an offer", "offer of nothing", "no such task"],
)
async def test_row_that_can_never_leave_is_set_aside_and_those_behind_it_go_on(
    control: Control, redis: Redis, topic: str, type: str, body: Any
) -> None:
    async with control.wiring["begin"]() as unit:
        await unit.connection.execute(ADD, "evt_bad", topic, type, body)
    await _behind(control)
    before = REGISTRY.get_sample_value("usher_errors_total", {"place": "worker"}) or 0
    with capture_logs() as said:
        async with working(control):
            await until(lambda: drained(control))
    assert await redis.hgetall(REVOKED) == {b"sub:sub_1": b"7"} and await redis.exists(over("v9"))
    [told] = [line for line in said if line["event"] == "outbox row set aside"]
    assert (told["log_level"], told["id"], told["topic"], told["type"]) == ("error", "evt_bad", topic, type)
    assert (REGISTRY.get_sample_value("usher_errors_total", {"place": "worker"}) or 0) > before
    assert await control.rows("select id, words from outbox where words is not null") == [
        {"id": "evt_bad", "words": told["reason"]}
    ]


async def test_row_that_was_set_aside_is_kept_and_leaves_once_it_is_put_back(control: Control, redis: Redis) -> None:
    deliver, begin = partial(relay.deliver_pushes, redis=redis), control.wiring["begin"]
    async with begin() as unit:
        await unit.connection.execute(ADD, "evt_bad", PUSH, "push.sub", {})
    await relay.relay(PUSH, deliver, begin=begin)
    await control.rows("update outbox set relayed_at = $1", control.clock.now() - timedelta(days=100))
    await process.sweep(control.wiring)
    mended = {"kind": "sub", "key": "sub_9", "iat": 5}
    async with begin() as unit:
        await unit.connection.execute(
            "update outbox set data = $2, relayed_at = null, words = null where id = $1", "evt_bad", mended
        )
    await relay.relay(PUSH, deliver, begin=begin)
    assert await redis.hgetall(REVOKED) == {b"sub:sub_9": b"5"}


async def test_rows_come_again_while_redis_is_away_or_full(control: Control) -> None:
    begin = control.wiring["begin"]
    async with begin() as unit:
        for topic, type in ((TASK, "farm.offer"), (PUSH, "push.sub")):
            await unit.connection.execute(ADD, f"evt_{topic}", topic, type, {})
    await _behind(control)
    with valkey(free_base(1)) as server:
        redis: Redis = Redis.from_url(server.url)
        dispatch = Dispatch(Needs(redis, lease_s=15), redis, Broker(server.url))
        deliveries: dict[str, relay.Deliver] = {
            TASK: dispatch.deliver,
            PUSH: partial(relay.deliver_pushes, redis=redis),
        }
        await redis.config_set("maxmemory", "1")
        for is_away in (False, True):
            if is_away:
                server.kill()
            for topic, deliver in deliveries.items():
                with pytest.raises(RedisError):
                    await relay.relay(topic, deliver, begin=begin)
            assert await waiting(control) == 4
            assert await control.rows("select 1 from outbox where words is not null") == []
        server.start()
        for topic, deliver in deliveries.items():
            await relay.relay(topic, deliver, begin=begin)
        assert await redis.hgetall(REVOKED) == {b"sub:sub_1": b"7"} and await redis.exists(over("v9"))
        rows = await control.rows("select id from outbox where words is not null order by seq")
        assert [row["id"] for row in rows] == ["evt_task", "evt_push"] and await waiting(control) == 0
        await redis.aclose()
