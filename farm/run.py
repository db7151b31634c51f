"""The only place that starts a process: one ffmpeg, with progress, deadline, stall watchdog, and a polite stop.

ffmpeg reads hostile files, so it runs in its own session and folder with a bare environment and resource limits, and
dies with this process (PR_SET_PDEATHSIG), however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import resource
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from shared.errors import EncodeFailed, Stopped
from shared.jobs import KILLED

#: Seconds between SIGTERM and SIGKILL.
POLITE_S = 1.0
#: Seconds between two looks at the watchdogs.
LOOK_S = 0.2
#: Bytes that a process which says nothing must read in the time of a stall to count as at work.
READ_BYTES = 4 << 20
#: Lines of stderr kept for the error: five encoders that cannot open say some thirty after the cause.
LAST_LINES = 60
_LINE_BYTES = 500
_PR_SET_PDEATHSIG = 1
#: What ffmpeg may see of our environment: where programs and a GPU driver are.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES")


class Limits(msgspec.Struct, frozen=True):
    """What one ffmpeg may use; 0 bytes: no bound."""

    deadline_s: float
    stall_s: float
    memory_bytes: int = 0
    file_bytes: int = 0
    files: int = 256


class Progress(msgspec.Struct, frozen=True):
    """A report of ffmpeg: frames of picture and seconds written, and the multiple of real time."""

    frame: int = 0
    seconds: float = 0.0
    speed: float = 0.0


OnProgress = Callable[[Progress], None]


async def run(
    argv: Sequence[str],
    folder: Path,
    limits: Limits,
    *,
    on_progress: OnProgress = lambda _: None,
    stop: asyncio.Event | None = None,
    environ: Mapping[str, str] = os.environ,
) -> list[str]:
    """Run to the end and give ffmpeg's last lines.

    Raises EncodeFailed (exit code, stall, deadline; `details["lines"]` are ffmpeg's last words) and Stopped (`stop`
    was set). What is no fault of the input has `details["lost"]` true: a SIGKILL that was not ours (`code` "killed"),
    a program that does not start ("not-started"), a full disk ("no-space").
    Nothing of the process group is left when it returns or is cancelled.
    """
    process = await _started(argv, folder, limits, environ=environ)
    watch = _Watch(limits, on_progress, process.pid)
    readers = [asyncio.create_task(watch.read(process.stdout)), asyncio.create_task(watch.keep(process.stderr))]
    ended = asyncio.create_task(process.wait())
    try:
        while process.returncode is None:
            await asyncio.wait({ended}, timeout=LOOK_S)  # it ends only when all who hold its pipes have
            if process.returncode is not None:
                break
            if stop is not None and stop.is_set():
                raise Stopped("the worker was told to stop")
            watch.check()
        await asyncio.wait(readers, timeout=LOOK_S)
        if process.returncode:
            raise failure(process.returncode, watch.last)
        return list(watch.last)
    except EncodeFailed as error:
        error.details["lines"] = list(watch.last)
        raise
    finally:
        await _end(process, ended)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


async def _started(
    argv: Sequence[str], folder: Path, limits: Limits, *, environ: Mapping[str, str]
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            cwd=folder,
            env=bare(folder, environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            preexec_fn=confinement(limits),
        )
    except OSError as error:
        raise not_started(argv[0], error) from error


class _Watch:
    """What is known of a running ffmpeg, and whether it has stood still or worked for too long."""

    def __init__(self, limits: Limits, on_progress: OnProgress, pid: int) -> None:
        self._limits, self._tell, self._pid = limits, on_progress, pid
        self._read_bytes = 0
        self._now = asyncio.get_running_loop().time
        self._began = self._moved = self._now()
        self._seen: tuple[int, float, str] | None = None
        self.last: deque[str] = deque(maxlen=LAST_LINES)

    def check(self) -> None:
        now = self._now()
        if now - self._began > self._limits.deadline_s:
            raise EncodeFailed(f"not done after {self._limits.deadline_s:.0f} s", code="deadline")
        if now - self._moved > self._limits.stall_s and not self._reads_on():
            raise EncodeFailed(f"no progress for {self._limits.stall_s:.0f} s", code="stalled")

    def _reads_on(self) -> bool:
        """Whether it has read much of a file since something moved: a slow disk is no stall, nor is a long index."""
        before, self._read_bytes = self._read_bytes, _read_bytes(self._pid)
        if self._read_bytes - before < READ_BYTES:
            return False
        self._moved = self._now()
        return True

    async def read(self, stream: asyncio.StreamReader | None) -> None:
        """Progress reports: `key=value` lines, each report closed by `progress=`; other lines are kept as words."""
        report: dict[str, str] = {}
        async for line in _lines(stream):
            key, is_report, value = line.partition("=")
            if not is_report:
                self.last.append(line[:_LINE_BYTES])
            report[key.strip()] = value.strip()
            if key == "progress":
                self._report(report)

    def _report(self, report: dict[str, str]) -> None:
        frame, micros = (_number(report.get(key, "")) for key in ("frame", "out_time_us"))
        found = Progress(int(frame), micros / 1e6, _number(report.get("speed", "").rstrip("x")))
        if (seen := (found.frame, found.seconds, report.get("total_size", ""))) != self._seen:
            self._seen, self._moved, self._read_bytes = seen, self._now(), _read_bytes(self._pid)
            self._tell(found)

    async def keep(self, stream: asyncio.StreamReader | None) -> None:
        async for line in _lines(stream):
            self.last.append(line[:_LINE_BYTES])


def _read_bytes(pid: int) -> int:
    """Bytes that a process has read so far; 0 where the kernel does not say."""
    try:
        said = Path(f"/proc/{pid}/io").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in said.splitlines() if line.startswith("rchar:")), 0)


def _number(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0


async def _lines(stream: asyncio.StreamReader | None) -> AsyncIterator[str]:
    """Lines of any length; one over 64 KiB is broken up."""
    rest = b""
    while stream is not None and (block := await stream.read(1 << 16)):
        *whole, rest = (rest + block).replace(b"\r", b"\n").split(b"\n")
        for line in [*whole, *([rest] if len(rest) > 1 << 16 else [])]:
            if line:
                yield line.decode("utf-8", "replace")
        rest = b"" if len(rest) > 1 << 16 else rest
    if rest:
        yield rest.decode("utf-8", "replace")


def not_started(program: str, error: OSError) -> EncodeFailed:
    """What it means that a program cannot be run at all: it is gone for a moment, or the machine has no room for it."""
    return EncodeFailed(f"{program} does not start: {error.strerror}", code="not-started", lost=True)


def failure(code: int, last: Sequence[str] = ()) -> EncodeFailed:
    """What a process that ended with `code` means; `last`: its last words."""
    if code == -signal.SIGKILL:
        return EncodeFailed("ffmpeg was ended by SIGKILL", code=KILLED, lost=True)
    if code < 0:
        return EncodeFailed(f"ffmpeg was ended by {signal.Signals(-code).name}")
    if any(os.strerror(errno.ENOSPC) in line for line in last):
        return EncodeFailed("there is no space left on this machine", code="no-space", lost=True)
    return EncodeFailed(f"ffmpeg gave up ({code}): {last[-1] if last else 'no word'}")


async def _end(process: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
    """SIGTERM to the group, a moment, SIGKILL; also for what an ended ffmpeg left behind."""
    if process.returncode is None:
        _signal(process.pid, signal.SIGTERM)
        await asyncio.wait({ended}, timeout=POLITE_S)
    _signal(process.pid, signal.SIGKILL)
    await asyncio.wait({ended}, timeout=POLITE_S)
    ended.cancel()


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def bare(folder: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a process that reads hostile files and lives in `folder`."""
    return {name: environ[name] for name in _KEPT if name in environ} | {"LC_ALL": "C", "HOME": str(folder)}


def confinement(limits: Limits) -> Callable[[], None]:
    """What the child does between fork and exec; the library is loaded before, since a fork may not."""
    prctl, parent = ctypes.CDLL(None, use_errno=True).prctl, os.getpid()
    bounds = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, limits.files)]
    if limits.memory_bytes:
        bounds.append((resource.RLIMIT_AS, limits.memory_bytes))
    if limits.file_bytes:
        bounds.append((resource.RLIMIT_FSIZE, limits.file_bytes))

    def confine() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        for kind, most in bounds:
            resource.setrlimit(kind, (most, most))

    return confine
