"""Tickets onto Celery's queues: they carry nothing, so only their number matters."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from celery import Celery
from kombu import Connection, Queue

from shared.jobs import QUEUE_ARGUMENTS, QUEUES, WORK

#: A broker that does not answer in this time is away.
TIMEOUT_S = 1.5
#: Tickets that wait in a queue at most: more would find nobody idle before the next look.
MOST = 500


class Broker:
    """Sends tickets. A connection lives for one batch, so a broker that was restarted or wiped is met afresh."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._celery = Celery("control", broker=url, set_as_current=False)
        self._celery.conf.update(
            task_ignore_result=True,
            task_publish_retry=False,
            broker_connection_max_retries=0,
            task_queues=[Queue(name, routing_key=name, queue_arguments=QUEUE_ARGUMENTS) for name in QUEUES],
        )

    async def top_up(self, wanted: Mapping[str, int]) -> int:
        """Send to each queue what it lacks of so many tickets, in a thread; how many that were.

        Raises kombu's OperationalError when the broker is away.
        """
        wanted = {queue: min(count, MOST) for queue, count in wanted.items() if count}
        return await asyncio.to_thread(self._top_up, wanted) if wanted else 0

    def _top_up(self, wanted: Mapping[str, int]) -> int:
        options = {
            "socket_timeout": TIMEOUT_S,
            "socket_connect_timeout": TIMEOUT_S,
            "max_retries": 0,
            "confirm_publish": True,  # RabbitMQ counts a ticket once it confirmed it; Redis counts at once
        }
        sent = 0
        with Connection(self._url, connect_timeout=TIMEOUT_S, transport_options=options) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=2)
            for queue, count in wanted.items():
                for _ in range(count - self._waiting(queue, connection)):
                    self._celery.send_task(WORK, queue=queue, connection=connection, ignore_result=True, retry=False)
                    sent += 1
        return sent

    def _waiting(self, queue: str, connection: Connection) -> int:
        """How many tickets nobody fetched yet; declares the queue."""
        channel: Any = connection.default_channel
        found = channel.queue_declare(queue=queue, durable=True, auto_delete=False, arguments=QUEUE_ARGUMENTS)
        return int(found.message_count)
