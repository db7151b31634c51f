"""A real RabbitMQ for tests: Debian's server on ports and in folders of the test's own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from kombu import Connection
from kombu.exceptions import OperationalError

from infra.stack.child import own_session
from tests.support.ports import free_base

DEADLINE_S = 90.0
#: The server itself; the one on PATH would become another user.
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def is_installed() -> bool:
    """Whether Debian's package is there."""
    return SERVER.exists() and shutil.which("epmd") is not None


@contextlib.contextmanager
def rabbitmq(folder: Path) -> Iterator[str]:
    """A running server that keeps all in `folder`; its address."""
    port, distribution, names = (base := free_base(3)), base + 1, base + 2
    environ = {
        "PATH": f"/usr/lib/rabbitmq/bin:{os.environ['PATH']}",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names),
        "RABBITMQ_NODENAME": f"usher-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_LOGS": "-",
    }
    (folder / "plugins").write_text("[].\n")
    url = f"amqp://guest:guest@127.0.0.1:{port}//"
    with (
        _running(["epmd", "-port", str(names), "-address", "127.0.0.1"], environ, folder / "epmd.log"),
        _running([str(SERVER)], environ, folder / "rabbitmq.log"),
    ):
        _wait(url, folder / "rabbitmq.log")
        yield url


@contextlib.contextmanager
def _running(argv: list[str], environ: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            argv,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            preexec_fn=own_session(os.getpid(), signal.SIGKILL),
        )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(url: str, log: Path) -> None:
    until = time.monotonic() + DEADLINE_S
    while True:
        try:
            with Connection(url, connect_timeout=10) as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=2)
                return
        except (OperationalError, OSError):
            if time.monotonic() > until:
                raise RuntimeError(log.read_text()[-3000:]) from None
            time.sleep(0.2)
