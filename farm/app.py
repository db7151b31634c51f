"""Celery wiring: the three tasks by the names of shared/jobs.py. A task = decode → plan → run → publish.

Celery only hastens: a ticket may be lost or come twice. Markers in the bucket and leases decide, so a ticket is
acknowledged after its work, and sent anew when the worker is told to stop.
"""

from __future__ import annotations

import asyncio
import ctypes
import signal
from collections.abc import Callable
from typing import Any

import msgspec
from celery import Celery, signals
from celery.app.task import Task
from celery.worker.request import Request
from kombu.exceptions import OperationalError

from farm import tasks
from farm.engine import Engine
from shared import jobs
from shared.log import get
from shared.metrics import FARM_CHUNKS, FARM_SECONDS
from shared.settings import FarmSettings

#: Seconds after which Redis hands a ticket out again; a lease then shows whether it is still in work.
VISIBILITY_S = 3600
_PR_SET_PDEATHSIG = 1
_TICKETS: dict[str, type[jobs.Ticket]] = {
    jobs.PROBE: jobs.ProbeTicket,
    jobs.CHUNK: jobs.ChunkTicket,
    jobs.FINALISE: jobs.FinaliseTicket,
}


class CountingRequest(Request):
    """A task as the worker's main process sees it: counts outcomes there, where the private listener is."""

    def __init_subclass__(cls) -> None:
        """Celery derives a class for each task that replaces `on_success` without calling ours: put it around that."""
        theirs = cls.on_success

        def on_success(self: Request, failed__retval__runtime: tuple[bool, Any, float], **kwargs: Any) -> Any:
            failed, outcome, seconds = failed__retval__runtime
            if not failed:
                FARM_CHUNKS.labels(str(outcome).strip("'")).inc()
                FARM_SECONDS.observe(seconds)
            return theirs(self, failed__retval__runtime, **kwargs)

        setattr(cls, "on_success", on_success)  # noqa: B010 - a method replaced on purpose


def create_app(settings: FarmSettings, engine: Callable[[], Engine]) -> Celery:
    """The Celery app; `engine` gives what the worker's start found. Connects to nothing yet."""
    app = Celery("farm", broker=settings.broker, set_as_current=False, task_cls="farm.app:CountedTask")
    app.conf.update(
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"visibility_timeout": VISIBILITY_S},
        task_acks_late=True,
        task_default_queue=jobs.CPU_QUEUE,
        task_ignore_result=True,
        task_reject_on_worker_lost=True,
        task_serializer="json",
        accept_content=["json"],
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_concurrency=settings.concurrency,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
    )
    for name, kind in _TICKETS.items():
        app.task(name=name, bind=True)(_body(settings, engine, kind))
    signals.worker_process_init.connect(_on_child, weak=False)
    return app


class CountedTask(Task[Any, Any]):
    """A task whose outcomes are counted."""

    Request = "farm.app:CountingRequest"


def _body(
    settings: FarmSettings, engine: Callable[[], Engine], kind: type[jobs.Ticket]
) -> Callable[[Task[Any, Any], dict[str, Any]], str]:
    def task(self: Task[Any, Any], ticket: dict[str, Any]) -> str:
        outcome = asyncio.run(_perform(settings, engine(), msgspec.convert(ticket, kind)))
        if outcome == "stopped":
            _give_back(self, ticket)
        return outcome

    return task


def _give_back(task: Task[Any, Any], ticket: dict[str, Any]) -> None:
    """Send the ticket anew: a worker that leaves has no time for Celery's own way of handing it back."""
    queue = (task.request.delivery_info or {}).get("routing_key", jobs.CPU_QUEUE)
    try:
        task.app.send_task(task.name, kwargs={"ticket": ticket}, queue=queue, retry=False)
    except OperationalError as error:
        get("farm").warning("ticket not given back", why=str(error))


async def _perform(settings: FarmSettings, engine: Engine, ticket: jobs.Ticket) -> str:
    """SIGTERM ends the work politely; the ticket then goes back to the queue."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    told = asyncio.Event()

    def on_term() -> None:
        told.set()
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, on_term)
    try:
        async with tasks.floor(settings, engine) as on:
            outcome = await tasks.perform(ticket, on, stop)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return "stopped" if outcome == "again" and told.is_set() else outcome


def _on_child(**_: Any) -> None:
    """A pool process dies with the worker, and SIGTERM means something to it only while it works."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
