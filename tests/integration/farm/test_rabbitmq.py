"""RabbitMQ as the broker: quorum queues, tickets that both sides declare alike, work that is made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from amqp.exceptions import PreconditionFailed
from kombu import Connection
from redis.asyncio import Redis

from gateway.control.worker.broker import MOST, Broker
from shared import jobs
from tests.support import media, patience
from tests.support.farm import JOB, TITLE
from tests.support.farm_process import endless, pids, until, worker
from tests.support.rabbitmq import is_installed, rabbitmq


@pytest.fixture(scope="module")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A RabbitMQ for these tests; a machine that is not CI may lack it."""
    if not is_installed():
        if os.environ.get("CI"):
            pytest.fail("rabbitmq-server is not installed")
        pytest.skip("rabbitmq-server is not installed: apt-get install rabbitmq-server")
    with rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as url:
        yield url


@pytest.fixture
def empty(broker_url: str) -> str:
    """The address of the RabbitMQ, without queues."""
    with Connection(broker_url) as connection:
        for queue in jobs.QUEUES:
            connection.default_channel.queue_delete(queue)
    return broker_url


async def test_queues_are_topped_up_to_what_waits_and_are_quorum_queues(empty: str) -> None:
    broker = Broker(empty)
    assert await broker.top_up({"cpu": 3, "gpu": 1}) == 4
    assert await broker.top_up({"cpu": 3, "gpu": 2}) == 1
    assert await broker.top_up({"cpu": MOST + 9, "gpu": 0}) == MOST - 3

    with Connection(empty) as connection:
        declared = {"durable": True, "auto_delete": False}
        kept = connection.channel().queue_declare("cpu", arguments=jobs.QUEUE_ARGUMENTS, **declared)
        assert kept.message_count == MOST, "what was sent is confirmed, so it counts at the next look"
        with pytest.raises(PreconditionFailed):
            connection.channel().queue_declare("cpu", **declared)


async def test_tickets_of_rabbitmq_make_a_title(tmp_path: Path, redis: Redis, redis_url: str, empty: str) -> None:
    async with worker(tmp_path, redis, redis_url, broker_url=empty) as farm:
        await farm.start()
        plan = await farm.planned(media.plain())
        await farm.chunks(plan.version, *plan.chunks)
        await farm.wait_for(jobs.ChunkDone, len(plan.chunks))
        await farm.offer(plan.version, {"final": jobs.FinaliseTicket(JOB, TITLE, plan.version)})
        await farm.wait_for(jobs.Ready)


async def test_work_of_a_worker_that_was_killed_is_made_though_its_ticket_is_gone(
    tmp_path: Path, redis: Redis, redis_url: str, empty: str
) -> None:
    async with worker(tmp_path, redis, redis_url, broker_url=empty) as farm:
        process = await farm.start(USHER_FFMPEG=endless(tmp_path))
        plan = await farm.planned(media.plain())
        await farm.chunks(plan.version, "0")
        await until(lambda: pids(tmp_path))
        assert await farm.hasten() == 1, "the ticket was acknowledged when the work began"

        process.kill()
        await process.wait()
        await farm.start()

        async def made() -> bool:
            await farm.hasten()  # as control does all the time; the ticket that was there may have come before its time
            return bool(await farm.said(jobs.ChunkDone))

        await patience.until(made, what="the piece made by another worker")
