"""Draining: how whoever stops an edge tells it first, so that no viewer meets a closed door.

SIGUSR1 makes an edge say 503 to /readyz and close each connection with its answer. After `drain_s` the balancer has
looked away and SIGTERM ends what is left: no new connection is taken, answers are finished (HTTP/2: GOAWAY), and what
is not done after `stop_s` is cut. Where granian serves, the process that was started is its parent and the worker it
forks does the work: signals are passed on.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from shared.settings import EdgeSettings

LOOK_S = 0.1


class Nowhere(Exception):
    """No edge with these settings runs on this machine."""


def pid_file(settings: EdgeSettings) -> Path:
    """Where a running edge leaves its process id."""
    return settings.home / f"edge-{settings.listen_port}.pid"


@contextlib.contextmanager
def findable(settings: EdgeSettings) -> Iterator[None]:
    """Pass SIGUSR1 on to the worker, and be found by `ask` meanwhile. Without a writable home only signals find it."""
    signal.signal(signal.SIGUSR1, _pass_on)
    path = pid_file(settings)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(os.getpid()))
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            if int(path.read_text()) == os.getpid():
                path.unlink()


def ask(settings: EdgeSettings) -> None:
    """Make the edge of these settings drain, and wait until that is done or it has ended. Raises Nowhere."""
    pid = _running(settings)
    os.kill(pid, signal.SIGUSR1)
    until = time.monotonic() + settings.drain_s
    while time.monotonic() < until and _is_edge(pid):
        time.sleep(LOOK_S)


def _running(settings: EdgeSettings) -> int:
    with contextlib.suppress(OSError, ValueError):
        pid = int(pid_file(settings).read_text())
        if _is_edge(pid):
            return pid
    raise Nowhere(f"No edge runs here on port {settings.listen_port}, or it could not write {pid_file(settings)}.")


def _pass_on(_signal: int, _frame: object) -> None:
    # A worker just forked still has this handler, and no children.
    for worker in multiprocessing.active_children():
        if worker.pid:
            os.kill(worker.pid, signal.SIGUSR1)


def _is_edge(pid: int) -> bool:
    """Whether the process is still the one that wrote the file: numbers are given out again."""
    try:
        return __package__.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
