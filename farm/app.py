"""Celery wiring: one task, which takes the most wanted piece of work and does it.

Celery only hastens: a ticket carries nothing, and may be lost or come twice. Needs and leases in Redis say who makes
what (shared/need.py), markers in the bucket what is made.
"""

from __future__ import annotations

import asyncio
import ctypes
import signal
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from celery import Celery, signals
from celery.app.task import Task
from celery.worker.request import Request
from kombu import Queue

from farm import tasks
from farm.engine import Engine
from shared import jobs
from shared.metrics import FARM_CHUNKS, FARM_SECONDS
from shared.settings import FarmSettings

#: Seconds after which a Redis broker hands a ticket out again; it then finds nothing or something to take.
VISIBILITY_S = 3600
_PR_SET_PDEATHSIG = 1
#: Schemes of brokers that speak AMQP.
_AMQP = ("amqp", "pyamqp")


class CountingRequest(Request):
    """A task as the worker's main process sees it: counts outcomes there, where the private listener is."""

    def __init_subclass__(cls) -> None:
        """Celery derives a class for each task that replaces `on_success` without calling ours: put it around that."""
        theirs = cls.on_success

        def on_success(self: Request, failed__retval__runtime: tuple[bool, Any, float], **kwargs: Any) -> Any:
            failed, outcome, seconds = failed__retval__runtime
            if not failed and str(outcome).strip("'") != "idle":
                FARM_CHUNKS.labels(str(outcome).strip("'")).inc()
                FARM_SECONDS.observe(seconds)
            return theirs(self, failed__retval__runtime, **kwargs)

        setattr(cls, "on_success", on_success)  # noqa: B010 - a method replaced on purpose

    def acknowledge(self) -> None:
        """Say that the ticket is done with. Where the broker does not hear it, connect to it anew.

        Celery only logs that: its consumer then counts the ticket as one in work for ever, and asks for no other.
        """
        self._settle(self.message.ack)

    def reject(self, requeue: bool = False) -> None:
        """Give the ticket back, and likewise."""
        self._settle(partial(self.message.reject, requeue=requeue))

    def _settle(self, say: Callable[[], None]) -> None:
        if self.acknowledged:
            return
        self.acknowledged = True
        try:
            say()
        except Exception as error:  # whichever it is, this connection counts the ticket for ever
            _LOOP.fail(ConnectionError(str(error)))


def create_app(settings: FarmSettings, engine: Callable[[], Engine], *, name: str = "farm") -> Celery:
    """The Celery app of the worker `name`; `engine` gives what its start found. Connects to nothing yet."""
    app = Celery("farm", broker=settings.broker, set_as_current=False, task_cls="farm.app:CountedTask")
    is_amqp = urlsplit(settings.broker).scheme.startswith(_AMQP)
    app.conf.update(
        broker_channel_error_retry=True,
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_transport_options={} if is_amqp else {"visibility_timeout": VISIBILITY_S},
        # RabbitMQ closes a channel whose ticket is not acknowledged for half an hour.
        task_acks_late=not is_amqp,
        task_default_queue=jobs.CPU_QUEUE,
        task_ignore_result=True,
        task_queues=[Queue(queue, routing_key=queue, queue_arguments=jobs.QUEUE_ARGUMENTS) for queue in jobs.QUEUES],
        task_reject_on_worker_lost=not is_amqp,
        task_serializer="json",
        accept_content=["json"],
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_concurrency=settings.concurrency,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
    )

    def work(self: Task[Any, Any]) -> str:
        return asyncio.run(_work(settings, engine(), name))

    app.task(name=jobs.WORK, bind=True)(work)
    signals.worker_process_init.connect(_on_child, weak=False)
    signals.worker_ready.connect(_LOOP.on_ready, weak=False)
    return app


class _Loop:
    """Celery's loop in the worker's main process."""

    def __init__(self) -> None:
        self._consumer: Any = None

    def on_ready(self, sender: Any, **_: Any) -> None:
        self._consumer = sender

    def fail(self, error: Exception) -> None:
        """Raise an error in the loop: it ends this connection, and the consumer begins its next."""

        def raised() -> None:
            raise error

        self._consumer.call_soon(raised)


_LOOP = _Loop()


class CountedTask(Task[Any, Any]):
    """A task whose outcomes are counted."""

    Request = "farm.app:CountingRequest"


class _Told:
    """Whether this pool process was told to end: it then takes nothing more."""

    def __init__(self) -> None:
        self.is_set = False

    def on_term(self, *_: object) -> None:
        self.is_set = True


_TOLD = _Told()


async def _work(settings: FarmSettings, engine: Engine, name: str) -> tasks.Outcome:
    """SIGTERM ends the work politely; the piece may then be taken by another at once."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def on_term() -> None:
        _TOLD.on_term()
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, on_term)
    try:
        if _TOLD.is_set:
            return "idle"
        async with tasks.floor(settings, engine) as on:
            return await tasks.next_work(on, name, stop)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, _TOLD.on_term)


def _on_child(**_: Any) -> None:
    """A pool process dies with the worker, and SIGTERM means something to it only while it works."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGTERM, _TOLD.on_term)
