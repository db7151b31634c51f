"""A child process: its own session and log file, ready when it answers, gone when its parent is."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import pwd
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from infra.stack.probe import Probe

PR_SET_PDEATHSIG = 1
#: Logs past this size are put aside at a start, one generation.
LOG_LIMIT_BYTES = 16 << 20
TAIL_LINES = 20


class ChildDied(Exception):
    """A child ended before it was ready; the words name its log's last lines."""


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """How to run one child.

    `user` is a system user to become (root only), `probe` tells when it answers, `needs` names children that are
    stopped only after this one.
    """

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    probe: Probe
    cwd: Path
    user: str | None = None
    needs: tuple[str, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 2.0
    ready_within_s: float = 60.0


class Child:
    """One run of a Spec."""

    def __init__(self, spec: Spec, log: Path) -> None:
        self.spec, self.log = spec, log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start the process; returns at once."""
        _put_aside(self.log)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.spec.argv,
                env=dict(self.spec.environ),
                cwd=self.spec.cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=own_session(os.getpid(), self.spec.stop_signal),
                **become(self.spec.user),
            )

    async def ready(self) -> None:
        """Wait until it answers. Raises ChildDied when it ends first, or is silent past its deadline."""
        deadline = asyncio.get_running_loop().time() + self.spec.ready_within_s
        while not await self.spec.probe.answers():
            if not self.running:
                raise ChildDied(self.obituary())
            if asyncio.get_running_loop().time() > deadline:
                raise ChildDied(f"{self.spec.name} did not answer within {self.spec.ready_within_s:g} s. {self.last()}")
            await asyncio.sleep(0.03)

    async def wait(self) -> int:
        """The exit status, when it has ended (negative: the signal that ended it)."""
        assert self._process is not None  # noqa: S101 - only started children are waited for
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end, and end its whole session when it has not after its grace."""
        if not self.running:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, self.spec.stop_signal)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wait(), self.spec.grace_s)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        await self.wait()

    def obituary(self) -> str:
        """How it ended and its last lines, for a person."""
        status = self._process.returncode if self._process else None
        how = f"was ended by {signal.Signals(-status).name}" if status and status < 0 else f"ended with status {status}"
        return f"{self.spec.name} {how}. {self.last()}"

    def last(self) -> str:
        """The last lines of the log, introduced."""
        return f"The last lines of {self.log}:\n" + "\n".join(f"  {line}" for line in tail(self.log))


def tail(log: Path, lines: int = TAIL_LINES) -> list[str]:
    """The last `lines` lines of a text file."""
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 64 * 1024))
        return file.read().decode(errors="replace").splitlines()[-lines:]


def _put_aside(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".1.log"))


def become(user: str | None) -> dict[str, Any]:
    """Arguments with which a process starts as a system user, with none of our groups; none for ourselves."""
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}


def own_session(parent: int, death_signal: signal.Signals) -> Callable[[], None]:
    """What the child does before exec: leave our terminal's Ctrl-C alone, write for nobody else, and end when we do.

    It runs after the change of user, which would otherwise clear the death signal.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def between() -> None:
        os.setsid()
        os.umask(0o077)
        # A shell ignores Ctrl-C for what it runs in the background, and so would the child.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        prctl(PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:
            os._exit(1)

    return between
