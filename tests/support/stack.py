"""A whole Usher for tests: `usher run` in a folder of its own, ready when it says so."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from infra.stack.mark import sweep
from infra.stack.plan import ROOT
from infra.stack.run import Ready
from tests.support.ports import free_base

START_WITHIN_S = 120.0
STOP_WITHIN_S = 60.0


class Running(Ready, frozen=True, kw_only=True):
    """What `--ready-file` says (addresses, accounts, ports, pids, mark), the supervisor's pid, and what it printed."""

    supervisor: int
    output: Path


@contextlib.contextmanager
def running_stack(
    home: Path, *, demo: bool = True, environ: Mapping[str, str] | None = None, arguments: Sequence[str] = ()
) -> Iterator[Running]:
    """Start everything with its state in `home`, and leave nothing behind. `environ` adds settings."""
    process, ready = start(home, demo=demo, environ=environ or {}, arguments=arguments)
    try:
        yield wait_ready(process, ready)
    finally:
        stop(process)
        if ready.exists():
            sweep(msgspec.json.decode(ready.read_bytes(), type=Ready).mark)


def start(
    home: Path, *, demo: bool, environ: Mapping[str, str], arguments: Sequence[str] = ()
) -> tuple[subprocess.Popen[bytes], Path]:
    """`usher run` as a process, and the file it will write."""
    home.mkdir(parents=True, exist_ok=True)
    ready = home / "ready.json"
    ready.unlink(missing_ok=True)
    own = {name: value for name, value in os.environ.items() if not name.startswith("USHER_")}
    own |= {"USHER_HOME": str(home / "state"), "USHER_PORT_BASE": str(free_base())} | dict(environ)
    command = [sys.executable, "-m", "infra.cli", "run", "--ready-file", str(ready), *arguments]
    with (home / "output.txt").open("ab") as output:
        process = subprocess.Popen(
            command + ([] if demo else ["--no-demo"]), cwd=ROOT, env=own, stdout=output, stderr=output
        )
    return process, ready


def wait_ready(process: subprocess.Popen[bytes], ready: Path) -> Running:
    """What answers, once it does. Fails with what `usher run` said."""
    until = time.monotonic() + START_WITHIN_S
    output = ready.with_name("output.txt")
    while not ready.exists():
        assert process.poll() is None, f"usher run ended with {process.returncode}:\n{output.read_text()}"
        assert time.monotonic() < until, f"not ready within {START_WITHIN_S:g} s:\n{output.read_text()}"
        time.sleep(0.05)
    told = msgspec.json.decode(ready.read_bytes())
    return msgspec.convert({**told, "supervisor": process.pid, "output": str(output)}, Running, dec_hook=_path)


def _path(kind: type, value: str) -> Path:
    return Path(value)


def stop(process: subprocess.Popen[bytes]) -> int:
    """Ctrl-C; the exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


def usher(running: Running, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One `usher` command on a running stack."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("USHER_")}
    own |= {"USHER_HOME": running.home, "USHER_PORT_BASE": str(running.ports["control"]), "COLUMNS": "200"}
    command = [sys.executable, "-m", "infra.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=180)
