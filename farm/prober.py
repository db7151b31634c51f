"""The probe in a process of its own: libav opens a hostile file, so it gets a deadline, limits and nothing to lose."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import av
import msgspec
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from farm import run, warm
from farm.media import MediaInfo
from farm.probe import probe
from shared.errors import EncodeFailed, MasterRejected

#: A full demux of a master of 20 GiB from disk takes some minutes; its frame list about a gigabyte at most.
LIMITS = run.Limits(deadline_s=900, stall_s=900, memory_bytes=4 << 30, file_bytes=16 << 20)
#: The repository's root goes in by hand: the process sees nothing of our environment.
_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from farm.prober import main; main()"
_ROOT = str(Path(__file__).resolve().parents[1])
#: Processes that wait for the next master: as many as were ever asked at once.
_WAITING: list[warm.Warm] = []


class Task(msgspec.Struct, frozen=True):
    """What the process is told: the master, where to write the finding, and what it may use."""

    path: str
    result: str
    sound_only: bool
    limits: run.Limits


class Finding(msgspec.Struct, frozen=True):
    """What the process leaves behind: the facts, or why the master is refused."""

    info: MediaInfo | None = None
    code: str = ""
    words: str = ""


async def look(
    path: Path, folder: Path, *, sound_only: bool, stop: asyncio.Event | None = None, limits: run.Limits = LIMITS
) -> MediaInfo:
    """`probe` of `path` by another process, which writes into `folder`.

    Raises MasterRejected, EncodeFailed when the process dies or is not done in time, and Stopped.
    """
    result = folder / f"probe-{secrets.token_hex(8)}.json"
    try:
        await _done(_task(path, result, sound_only=sound_only, limits=limits), folder, limits=limits, stop=stop)
        found = msgspec.json.decode(await asyncio.to_thread(result.read_bytes), type=Finding)
    except EncodeFailed as error:
        words = f"the file could not be examined ({error})"
        raise EncodeFailed(words, code=error.code, **error.details) from error
    finally:
        await asyncio.to_thread(result.unlink, missing_ok=True)
    if found.info is None:
        raise MasterRejected(found.words, code=found.code)
    return found.info


def _task(path: Path, result: Path, *, sound_only: bool, limits: run.Limits) -> bytes:
    return msgspec.json.encode(Task(str(path.absolute()), str(result.absolute()), sound_only, limits))


async def _done(task: bytes, folder: Path, *, limits: run.Limits, stop: asyncio.Event | None) -> None:
    """Have a process that waits do the task, a new one where none does; it waits again unless it failed."""
    while _WAITING and not _WAITING[-1].is_ready:
        _WAITING.pop().end()
    process = _WAITING.pop() if _WAITING else warm.Warm([sys.executable, "-c", _BOOT, _ROOT], folder)
    try:
        await process.do(task, deadline_s=limits.deadline_s, stop=stop)
    except BaseException:
        process.end()
        raise
    _WAITING.append(process)


def waiting() -> tuple[warm.Warm, ...]:
    """The processes that wait for a master now."""
    return tuple(_WAITING)


def main() -> None:
    """The process: a child looks at each master that is asked for. It has looked at one of its own before."""
    with suppress(av.FFmpegError, OSError):
        _rehearse()
    os.chdir("/")
    warm.serve(_limits, _write)


def _rehearse() -> None:
    """Look at a black and silent film of our own: what a first look loads and prepares is there for every child."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder, "black.mp4")
        with av.open(str(path), "w") as container:
            shown, heard = (
                container.add_stream("libx264", rate=25),
                container.add_stream("aac", rate=48000, layout="stereo"),
            )
            shown.width = shown.height = 64
            shown.pix_fmt = "yuv420p"
            silence = AudioFrame("fltp", "stereo", 1024)
            silence.sample_rate = 48000
            for plane in silence.planes:
                plane.update(bytes(plane.buffer_size))
            for _ in range(3):
                container.mux(shown.encode(VideoFrame(64, 64, "yuv420p")))
                container.mux(heard.encode(silence))
            container.mux([*shown.encode(None), *heard.encode(None)])
        probe(path)


def _limits(task: bytes) -> run.Limits:
    return msgspec.json.decode(task, type=Task).limits


def _write(task: bytes) -> None:
    wanted = msgspec.json.decode(task, type=Task)
    try:
        finding = Finding(probe(Path(wanted.path), sound_only=wanted.sound_only))
    except MasterRejected as error:
        finding = Finding(code=error.code, words=str(error))
    Path(wanted.result).write_bytes(msgspec.json.encode(finding))
