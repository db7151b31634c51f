"""Tickets onto Celery's queues, sent by name: the farm's code is not needed here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from celery import Celery
from kombu import Connection

from gateway.control.outbox import Row

#: A broker that does not answer in this time is away; the rows wait.
TIMEOUT_S = 1.5


class Broker:
    """Sends tickets. A connection lives for one batch, so a broker that was restarted or wiped is met afresh."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._celery = Celery("control", broker=url, set_as_current=False)
        self._celery.conf.update(task_ignore_result=True, task_publish_retry=False, broker_connection_max_retries=0)

    async def deliver(self, rows: Sequence[Row]) -> int:
        """Send each row's ticket, in a thread. Raises kombu's OperationalError when the broker is away."""
        return await asyncio.to_thread(self._send, rows)

    def _send(self, rows: Sequence[Row]) -> int:
        options = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S, "max_retries": 0}
        with Connection(self._url, connect_timeout=TIMEOUT_S, transport_options=options) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=2)
            for row in rows:
                self._celery.send_task(
                    row.envelope.type,
                    kwargs={"ticket": row.envelope.data["ticket"]},
                    queue=row.envelope.data["queue"],
                    task_id=row.envelope.id,
                    connection=connection,
                    ignore_result=True,
                    retry=False,
                )
        return len(rows)
