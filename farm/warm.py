"""A process that has everything loaded and forks for each hostile file: to look at one then costs milliseconds.

The child that looks has limits of its own and nothing to lose; the process behind it never touches a file. Both die
with the worker (PR_SET_PDEATHSIG), and a child that hangs is ended together with the process.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from farm import run
from shared.errors import EncodeFailed, Stopped

_PR_SET_PDEATHSIG = 1
#: Limits of the process itself; those of a child that looks come with its task.
_OWN = run.Limits(deadline_s=0, stall_s=0)


class Warm:
    """One such process, waiting at the other end of a socket. It does one task at a time."""

    def __init__(self, argv: Sequence[str], folder: Path) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    argv,
                    cwd=folder,
                    env=run.bare(folder),
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,
                    preexec_fn=run.confinement(_OWN),
                )
            except OSError as error:
                self._socket.close()
                raise run.not_started(argv[0], error) from error
        self._socket.setblocking(False)
        atexit.register(self.end)

    @property
    def pid(self) -> int:
        """Of the process, and of its group."""
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        """Whether it still waits."""
        return self._process.poll() is None

    async def do(self, task: bytes, *, deadline_s: float, stop: asyncio.Event | None = None) -> None:
        """Have a child do `task`, one line. Raises EncodeFailed (its end, the deadline) and Stopped: `end` follows."""
        loop = asyncio.get_running_loop()
        ends, said = loop.time() + deadline_s, b""
        with suppress(ConnectionError):
            await loop.sock_sendall(self._socket, task + b"\n")
        while not said.endswith(b"\n"):
            try:
                said += await asyncio.wait_for(self._heard(), run.LOOK_S)
            except TimeoutError:
                if stop is not None and stop.is_set():
                    raise Stopped("the worker was told to stop") from None
                if loop.time() > ends:
                    raise EncodeFailed(f"not done after {deadline_s:.0f} s", code="deadline") from None
        if code := int(said):
            raise run.failure(code)

    async def _heard(self) -> bytes:
        with suppress(ConnectionError):
            if said := await asyncio.get_running_loop().sock_recv(self._socket, 64):
                return said
        raise run.failure(await asyncio.to_thread(self._process.wait))

    def end(self) -> None:
        """End the process and whatever it does. May be called twice."""
        atexit.unregister(self.end)
        self._socket.close()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def serve(limits: Callable[[bytes], run.Limits], work: Callable[[bytes], None]) -> None:
    """The process: for each line on standard input a child that does `work`, and its exit code as the answer."""
    prctl, own = ctypes.CDLL(None).prctl, os.getpid()
    with socket.socket(fileno=0) as asked, asked.makefile("rb") as tasks:
        for task in tasks:
            child = os.fork()
            if child == 0:
                prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                _confine(limits(task), own)
                work(task)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            asked.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _confine(limits: run.Limits, parent: int) -> None:
    """The child's own limits."""
    if os.getppid() != parent:
        os._exit(1)
    for kind, most in ((resource.RLIMIT_AS, limits.memory_bytes), (resource.RLIMIT_FSIZE, limits.file_bytes)):
        if most:
            resource.setrlimit(kind, (most, most))
