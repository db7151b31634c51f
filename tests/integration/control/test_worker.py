"""The worker on a real Postgres and Valkey: what leaves the outbox, what comes back, what a crash costs."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from redis.asyncio import Redis

from gateway.control.jobs.model import GRACE
from gateway.control.outbox import EVENT, Outbox, Row, Withdrawal
from gateway.control.worker import process, relay
from gateway.control.worker.broker import Broker
from gateway.control.worker.loops import forever
from shared.errors import Unavailable
from shared.events import EDGE_PUSH, EVENTS, REVOKED, Push
from shared.jobs import WORK, ChunkTicket, cancel_key
from shared.metrics import REGISTRY
from shared.need import Needs, Offer, WorkerState, over
from shared.settings import ControlSettings, variable
from tests.support.control import Control, control_settings, make_admin, register, running_control
from tests.support.ports import free_base
from tests.support.titles import desk, ready_of
from tests.support.valkey import valkey
from tests.support.worker import WITHIN_S, drained, emit, events_of, farm_says, state_is, until, waiting, working


async def test_relay_hands_events_over_in_order_when_they_are_many(control: Control, redis: Redis) -> None:
    await emit(control, 250)
    deliver = partial(relay.deliver_events, redis=redis)
    assert [await relay.relay(EVENT, deliver, begin=control.wiring["begin"]) for _ in range(3)] == [True, True, False]
    found = await events_of(redis)
    assert [event.subject for event in found] == [f"t{n}" for n in range(250)]
    assert len({event.id for event in found}) == 250
    assert await waiting(control) == 0


async def test_relay_sends_again_when_it_died_between_sending_and_marking(control: Control, redis: Redis) -> None:
    await emit(control, 3)

    async def die_after(rows: Sequence[Row]) -> dict[int, str]:
        await relay.deliver_events(rows, redis=redis)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await relay.relay(EVENT, die_after, begin=control.wiring["begin"])
    assert await waiting(control) == 3
    await relay.relay(EVENT, partial(relay.deliver_events, redis=redis), begin=control.wiring["begin"])
    assert [event.subject for event in await events_of(redis)] == ["t0", "t1", "t2"] * 2
    assert await waiting(control) == 0


async def test_relay_leaves_the_rows_when_another_worker_has_the_turn(control: Control, redis: Redis) -> None:
    await emit(control, 2)
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slowly(rows: Sequence[Row]) -> dict[int, str]:
        entered.set()
        await leave.wait()
        return {}

    first = asyncio.create_task(relay.relay(EVENT, slowly, begin=control.wiring["begin"]))
    await entered.wait()
    await emit(control, 1)
    try:
        assert not await relay.relay(EVENT, partial(relay.deliver_events, redis=redis), begin=control.wiring["begin"])
        assert await events_of(redis) == []
    finally:
        leave.set()
        await first
    assert await waiting(control) == 1


async def test_takedown_reaches_the_edges_when_the_worker_runs(control: Control, redis: Redis) -> None:
    admin = control.browser()
    await make_admin(control, (await register(admin, "ada"))["id"])
    title = await (await desk(control)).published()
    channel = redis.pubsub()
    await channel.subscribe(EDGE_PUSH)
    async with working(control):
        order = {"reason": "r", "notice": "n"}
        assert (await admin.put(f"/v1/titles/{title['id']}/takedown", json=order)).status_code == 200
        kept = await until(lambda: redis.hget(REVOKED, f"title:{title['id']}"))

        async def heard() -> Push | None:
            message = await channel.get_message(ignore_subscribe_messages=True, timeout=0.1)
            return msgspec.json.decode(message["data"], type=Push) if message else None

        push = await until(heard)
    await channel.aclose()
    assert (push.kind, push.key, push.reason) == ("title", title["id"], "taken-down")
    assert int(kept) == push.iat >= int(control.clock.epoch())


async def test_revocations_are_written_again_when_redis_lost_them(control: Control, redis: Redis) -> None:
    now = int(control.clock.epoch())
    async with control.wiring["begin"]() as unit:
        await unit.outbox.push(Push(kind="sub", key="sub_1", iat=now))
    async with working(control):
        await until(lambda: redis.hget(REVOKED, "sub:sub_1"))
        await until(lambda: redis.exists(relay.KEPT))
        await redis.flushall()
        assert int(await until(lambda: redis.hget(REVOKED, "sub:sub_1"))) == now


async def test_offers_reach_the_need_and_tickets_the_queue_when_relayed(control: Control, redis: Redis) -> None:
    seller = await desk(control)
    jobs = {(await seller.queue((await seller.title())["id"])).id for _ in range(3)}

    async def all_there() -> bool:
        return await redis.llen("cpu") == 3

    async with working(control):
        await until(all_there)
        taken = [await control.wiring["needs"].take(f"w/{n}", ("cpu",), memory_bytes=1 << 40) for n in range(3)]
        assert {one.ticket.job for one in taken if one} == jobs
        assert await control.wiring["needs"].take("w/3", ("cpu",), memory_bytes=1 << 40) is None
        message = msgspec.json.decode(await redis.lindex("cpu", 0))
        await redis.delete("cpu")
        await control.wiring["needs"].release("w/0", taken[0].work if taken[0] else "", "back")
        assert await until(lambda: redis.llen("cpu")) == 1, "as many tickets as pieces wait"
    assert msgspec.json.decode(base64.b64decode(message["body"]))[:2] == [[], {}]
    assert message["headers"]["task"] == WORK


async def test_other_topics_go_on_when_the_broker_is_down(
    tmp_path: Path, database_url: str, redis: Redis, redis_url: str, clock: Any
) -> None:
    dead = f"redis://127.0.0.1:{free_base(1)}/0"
    settings = control_settings(tmp_path, database_url=database_url, redis_url=redis_url, broker_url=dead)
    async with running_control(settings, clock) as control:
        seller = await desk(control)
        await seller.queue((await seller.title())["id"])
        async with working(control):
            await until(lambda: redis.xlen(EVENTS))
            assert await until(lambda: control.wiring["needs"].take("w/0", ("cpu",), memory_bytes=1 << 40))
            await until(lambda: drained(control))
    with pytest.raises(Exception, match=r"Error|refused"):
        await Broker(dead).top_up({"cpu": 1})


async def test_relay_goes_on_when_valkey_was_killed_and_started_empty(
    tmp_path: Path, database_url: str, clock: Any
) -> None:
    with valkey(free_base(1)) as server:
        settings = control_settings(tmp_path, database_url=database_url, redis_url=server.url)
        async with running_control(settings, clock) as control:
            seller = await desk(control)
            job = await seller.queue((await seller.title())["id"])
            redis, now = Redis.from_url(server.url), int(clock.epoch())
            async with working(control):
                await until(lambda: redis.llen("cpu"))
                server.kill()
                await emit(control, 5)
                async with control.wiring["begin"]() as unit:
                    await unit.outbox.withdraw(Withdrawal("v9", is_over=True))
                    await unit.outbox.push(Push(kind="title", key="t", iat=now))
                server.start()
                await redis.connection_pool.disconnect()
                await until(lambda: drained(control))
                assert await redis.exists(over("v9"))
                control.clock.advance(GRACE.total_seconds())
                await until(lambda: redis.llen("cpu"))
                assert {event.subject for event in await events_of(redis)} >= {f"t{n}" for n in range(5)}
                assert await redis.hget(REVOKED, "title:t") == str(now).encode()
                await farm_says(redis, ready_of(job.id))
                await until(lambda: state_is(control, job.id, "done"))
            await redis.aclose()


async def test_worker_goes_on_when_postgres_drops_its_connections(
    control: Control, redis: Redis, database_url: str
) -> None:
    async with working(control):
        await emit(control, 1)
        await until(lambda: redis.xlen(EVENTS))
        connection = await asyncpg.connect(database_url)
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
        )
        await connection.close()

        async def again() -> bool:
            with contextlib.suppress(Exception):
                await emit(control, 1)
            return bool(await redis.xlen(EVENTS) > 1)

        await until(again)


async def test_sweep_drops_what_is_over_and_keeps_the_rest(control: Control, redis: Redis) -> None:
    old, now = int(control.clock.epoch()) - 3 * control.settings.play_hard_end_s, int(control.clock.epoch())
    await redis.hset(REVOKED, mapping={"sub:old": str(old), "sub:new": str(now)})
    await control.rows("insert into inbox (id, at) values ('old', now() - interval '4 days'), ('new', now())")
    relayed = "insert into outbox (id, topic, type, subject, data, relayed_at) values ($1, 'event', 't', 's', '{}', $2)"
    await control.rows(relayed, "old", control.clock.now() - timedelta(days=8))
    await control.rows(relayed, "new", control.clock.now())
    await process.sweep(control.wiring)
    assert await redis.hkeys(REVOKED) == [b"sub:new"]
    assert await control.rows("select id from inbox") == [{"id": "new"}]
    assert await control.rows("select id from outbox where type = 't'") == [{"id": "new"}]


async def test_sweep_that_fails_for_one_table_drops_what_is_over_elsewhere(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(*_: Any, **__: Any) -> None:
        raise TimeoutError

    await control.rows("insert into inbox (id, at) values ('old', now() - interval '4 days')")
    monkeypatch.setattr(Outbox, "sweep", slow)
    with pytest.raises(Unavailable):
        await process.sweep(control.wiring)
    assert await control.rows("select id from inbox") == []


async def test_gauges_say_what_waits(control: Control) -> None:
    seller = await desk(control)
    await seller.queue((await seller.title())["id"])
    await process.set_gauges(control.wiring)
    assert REGISTRY.get_sample_value("usher_jobs", {"state": "queued"}) == 1
    assert REGISTRY.get_sample_value("usher_outbox_waiting") == await waiting(control)


async def test_gauges_say_what_autoscaling_goes_by(control: Control) -> None:
    needs = control.wiring["needs"]
    work = {chunk: ChunkTicket("job_1", "ttl_1", "v1", chunk) for chunk in "012"}
    await needs.offer(Offer("v1", "gpu", "s", 0, 20.0, 0, dict(work), dict.fromkeys(work, 1.0)))
    await needs.take("w/0", ("gpu", "cpu"), memory_bytes=1)
    await needs.tell(WorkerState("w", ("gpu", "cpu"), "nvenc", "9"))
    await process.set_gauges(control.wiring)
    figures = {
        name: [REGISTRY.get_sample_value(f"usher_farm_{name}", {"queue": queue}) for queue in ("cpu", "gpu")]
        for name in ("waiting_media_seconds", "running_media_seconds", "waiting", "workers")
    }
    assert figures == {
        "waiting_media_seconds": [0, 40],
        "running_media_seconds": [0, 20],
        "waiting": [0, 2],
        "workers": [1, 1],
    }


async def test_loop_ends_when_its_step_loses_the_cancellation() -> None:
    begun, lost = asyncio.Event(), asyncio.Event()

    async def deaf() -> bool:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost.set()
        return False

    loop = asyncio.create_task(forever("deaf", deaf, every_s=3600))
    await begun.wait()
    loop.cancel()
    await lost.wait()
    ended, _ = await asyncio.wait({loop}, timeout=WITHIN_S)
    assert ended == {loop}


async def test_worker_stops_soon_when_told_to(settings: ControlSettings) -> None:
    values = {name: getattr(settings, name) for name in settings.__struct_fields__}
    environ = {**os.environ, **{variable(name): str(value) for name, value in values.items()}}
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.control.worker", env=environ, stdout=asyncio.subprocess.PIPE
    )
    redis = Redis.from_url(settings.redis_url)
    try:
        await until(lambda: redis.exists("flags"))
        started.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(started.wait(), WITHIN_S) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.kill()
        await started.communicate()
        await redis.aclose()


async def test_leases_are_looked_for_where_the_farm_takes_them(
    tmp_path: Path, database_url: str, redis_url: str, clock: Any
) -> None:
    others = redis_url.rpartition("/")[0] + "/1"
    settings = control_settings(tmp_path, database_url=database_url, redis_url=redis_url, events_url=others)
    async with running_control(settings, clock) as control, Redis.from_url(others) as farm:
        needs = Needs(farm, lease_s=15)
        ticket = ChunkTicket("job_1", "ttl_1", "v1", "0")
        await needs.offer(Offer("v1", "cpu", "s", 0, 1.0, 0, {"0": ticket}, {"0": 1.0}))
        taken = await needs.take("w/0", ("cpu",), memory_bytes=1)
        assert taken is not None
        assert await control.wiring["leases"].leased([taken.work]) == {taken.work: True}
        await control.wiring["leases"].stop(["job_1"])
        assert await farm.exists(cancel_key("job_1"))
        await farm.flushdb()
