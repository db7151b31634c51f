"""One Chromium for many tests: started once, and joined by each test, whose contexts go when it leaves."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from playwright._impl._driver import compute_driver_executable, get_driver_env

from infra.stack.child import own_session

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
STOP_WITHIN_S = 20.0


def program() -> str | None:
    """The Chromium of this machine, where there is one."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextlib.contextmanager
def served(program: str, *, without: Sequence[str] = ()) -> Iterator[str]:
    """The address at which Playwright joins a headless browser; `without` are arguments that it leaves out."""
    options = {
        "executablePath": program,
        "args": ARGUMENTS,
        "ignoreDefaultArgs": without,
        "host": "127.0.0.1",
    }
    with tempfile.TemporaryDirectory(prefix="usher-chromium-") as folder:
        config = Path(folder) / "options.json"
        config.write_bytes(msgspec.json.encode(options))
        server = subprocess.Popen(
            # What `python -m playwright` starts, without the Python that would outlive us.
            [*compute_driver_executable(), "launch-server", "--browser", "chromium", "--config", str(config)],
            env=get_driver_env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=own_session(os.getpid(), signal.SIGTERM),
        )
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            assert address.startswith("ws://"), f"no browser: {address}{server.stdout.read()}"
            yield address
        finally:
            server.terminate()
            server.communicate(timeout=STOP_WITHIN_S)
