"""`python -m farm`: a worker with its private listener. SIGTERM stops ffmpeg politely and frees leases."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from billiard import process as pool
from celery import signals
from celery.worker import state

from farm import ear, gpu, heartbeat, tasks
from farm.app import create_app
from farm.engine import Engine, find
from shared import log, private
from shared.errors import Misconfigured
from shared.settings import FarmSettings, load

#: Seconds that work in hand gets to stop, and between two looks whether it has.
LEAVE_S, LOOK_S = 8.0, 0.1


class _State:
    """What is known of this worker: for the readiness answer, and for what control says of it."""

    def __init__(self, settings: FarmSettings, engine: Engine) -> None:
        self._settings, self._engine = settings, engine
        self.up, self.stopping = False, False
        self._consumer: Any = None
        self._resting = False
        self._heart = heartbeat.Heart(settings, engine, self.obey)

    def on_ready(self, sender: Any, **_: Any) -> None:
        self.up, self._consumer = True, sender
        threading.Thread(target=self._heart.beat, name="heartbeat", daemon=True).start()
        threading.Thread(target=self._listen, name="ear", daemon=True).start()

    def obey(self, told: str, running: Sequence[str]) -> None:
        """Rest, work on, or leave, as control says. Tickets go to others meanwhile."""
        if bool(told) != self._resting:
            self._resting = bool(told)
            change = self._consumer.cancel_task_queue if told else self._consumer.add_task_queue
            for queue in tasks.queues(self._engine):
                self._consumer.call_soon(change, queue)
        if told == "drain" and not running and not self.stopping:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_stop(self, **_: Any) -> None:
        """The worker got SIGTERM: pass it on, so that what is in work stops now."""
        self.stopping = True
        for child in pool.active_children():
            if child.pid is not None:
                os.kill(child.pid, signal.SIGTERM)
        threading.Thread(target=self._leave, name="leave", daemon=True).start()

    def why_not(self) -> str | None:
        if self.stopping:
            return "stopping"
        return None if self.up else "not connected to the broker yet"

    def _listen(self) -> None:
        """Begin anew, as the same process, where Celery went deaf."""
        ears = ear.Ear(self._settings.broker, tasks.queues(self._engine))
        while not self.stopping:
            time.sleep(ear.EVERY_S)
            is_idle = self._heart.is_idle and not self._resting
            try:
                is_deaf = ears.is_deaf(heard=state.all_total_count[0], is_idle=is_idle, now=time.monotonic())
            except Exception as error:  # whatever a broker's client raises, the next look comes
                log.get("farm").warning("not known whether tickets are heard", exc_info=error)
                continue
            if is_deaf:
                log.get("farm").error("tickets wait and none is heard: the worker begins anew")
                break
        if self.stopping:
            return
        for child in pool.active_children():
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(child.pid or 0, signal.SIGKILL)
                os.waitpid(child.pid or 0, 0)
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - itself, with what it was started with

    def _leave(self) -> None:
        """Go as soon as nothing is in work: Celery's own farewell takes two seconds more."""
        until = time.monotonic() + LEAVE_S
        while state.active_requests and time.monotonic() < until:
            time.sleep(LOOK_S)
        time.sleep(LOOK_S)
        self._heart.leave()
        os._exit(0)


def main() -> int:
    """Run until SIGTERM. 2 where settings or machine do not allow a start."""
    try:
        settings = load(FarmSettings)
        logger = log.set_up(settings, "farm")
        engine = asyncio.run(find(settings))
    except Misconfigured as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logger.info(
        "engine",
        ffmpeg=engine.ffmpeg,
        build=engine.build,
        encoder=engine.encoder.name,
        gpus=[str(card) for card in gpu.gpus()],
    )
    return _serve(settings, engine)


def _serve(settings: FarmSettings, engine: Engine) -> int:
    health = _State(settings, engine)
    signals.worker_ready.connect(health.on_ready, weak=False)
    signals.worker_shutting_down.connect(health.on_stop, weak=False)
    stop = private.start(settings, ready=health.why_not)
    app = create_app(settings, lambda: engine, name=heartbeat.name_of(settings))
    try:
        app.worker_main(
            [
                "--quiet",
                "worker",
                "--queues",
                ",".join(tasks.queues(engine)),
                "--loglevel",
                "WARNING",
                "--without-gossip",
                "--without-mingle",
                "--without-heartbeat",
                "--hostname",
                f"farm-{os.getpid()}@%h",
            ]
        )
    finally:
        stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
