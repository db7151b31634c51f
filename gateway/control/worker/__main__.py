"""Starts the worker: `python -m gateway.control.worker`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import uvloop

from gateway.control.readiness import watched
from gateway.control.wiring import wire
from gateway.control.worker.process import run
from shared import log, private
from shared.settings import ControlSettings, load

#: SIGTERM → exit; what a loop holds then is held by rows and streams, not by this process.
STOP_S = 2.0


async def main(settings: ControlSettings) -> None:
    """Work until SIGTERM or SIGINT."""
    logger = log.get("worker")
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stopped.set)
    async with wire(settings) as wiring, watched(wiring) as ready:
        work = asyncio.create_task(run(wiring))
        stop_listening = private.start(settings, ready=ready)
        await asyncio.wait({work, asyncio.create_task(stopped.wait())}, return_when=asyncio.FIRST_COMPLETED)
        work.cancel()
        await asyncio.wait({work}, timeout=STOP_S)
        stop_listening()
        logger.info("stop")
        # A thread that waits for a dead broker must not hold the process up.
        sys.stdout.flush()
        os._exit(0 if stopped.is_set() else 1)


if __name__ == "__main__":
    chosen = load(ControlSettings)
    log.set_up(chosen, "worker")
    uvloop.run(main(chosen))
