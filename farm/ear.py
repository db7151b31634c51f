"""Whether an idle worker still hears of tickets. Celery may go deaf where its broker was away.

Such a worker looks well from outside and never works again (celery issues 8030, 9054, 10302), so it begins anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Final

from kombu import Connection
from kombu.exceptions import OperationalError

from shared.jobs import QUEUE_ARGUMENTS

#: Seconds between two looks, and for which tickets may wait beside an idle worker: one that hears takes them at once.
EVERY_S: Final = 2.0
DEAF_S: Final = 6.0
#: A broker that does not answer in this time is away.
TIMEOUT_S: Final = 1.5


class Ear:
    """Judges from looks, each with what is known then; `queues` are those of the worker at its broker."""

    def __init__(self, broker: str, queues: Sequence[str]) -> None:
        self._broker, self._queues = broker, queues
        self._heard = -1
        self._waits_since: float | None = None

    def is_deaf(self, *, heard: int, is_idle: bool, now: float) -> bool:
        """Whether tickets have waited for DEAF_S though the worker had nothing to do. Blocks while the broker is asked.

        `heard`: tickets that the worker took so far. `now`: seconds of a clock that only goes on.
        """
        if heard != self._heard or not is_idle or not self._waiting():
            self._heard, self._waits_since = heard, None
            return False
        if self._waits_since is None:
            self._waits_since = now
        return now - self._waits_since >= DEAF_S

    def _waiting(self) -> int:
        """Tickets that nobody took; 0 where the broker cannot say."""
        options = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S, "max_retries": 0}
        with Connection(self._broker, connect_timeout=TIMEOUT_S, transport_options=options) as connection:
            away: tuple[type[BaseException], ...] = (
                *connection.connection_errors,
                *connection.channel_errors,
                OperationalError,
                OSError,
            )
            with contextlib.suppress(*away):
                return sum(_count(connection.default_channel, queue) for queue in self._queues)
        return 0


def _count(channel: Any, queue: str) -> int:
    found = channel.queue_declare(queue=queue, durable=True, auto_delete=False, arguments=QUEUE_ARGUMENTS)
    return int(found.message_count)
