"""The probe in a process of its own: libav opens a hostile file, so it gets a deadline, limits and nothing to lose."""

from __future__ import annotations

import asyncio
import secrets
import sys
from pathlib import Path

import msgspec

from farm import run
from farm.media import MediaInfo
from farm.probe import probe
from shared.errors import EncodeFailed, MasterRejected

#: A full demux of a master of 20 GiB from disk takes some minutes; its frame list about a gigabyte at most.
LIMITS = run.Limits(deadline_s=900, stall_s=900, memory_bytes=4 << 30, file_bytes=16 << 20)
#: The repository's root goes in by hand: the process sees nothing of our environment.
_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from farm.prober import main; main()"
_ROOT = str(Path(__file__).resolve().parents[1])


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
        await run.run(_argv(path, result, sound_only=sound_only), folder, limits, stop=stop)
        found = msgspec.json.decode(await asyncio.to_thread(result.read_bytes), type=Finding)
    except EncodeFailed as error:
        words = f"the file could not be examined ({error})"
        raise EncodeFailed(words, code=error.code, **error.details) from error
    finally:
        await asyncio.to_thread(result.unlink, missing_ok=True)
    if found.info is None:
        raise MasterRejected(found.words, code=found.code)
    return found.info


def _argv(path: Path, result: Path, *, sound_only: bool) -> list[str]:
    return [sys.executable, "-c", _BOOT, _ROOT, str(path.absolute()), str(result.absolute()), str(int(sound_only))]


def main() -> None:
    """`MASTER RESULT SOUND_ONLY`: probe and write the finding."""
    master, result, sound_only = sys.argv[1:]
    try:
        finding = Finding(probe(Path(master), sound_only=sound_only == "1"))
    except MasterRejected as error:
        finding = Finding(code=error.code, words=str(error))
    Path(result).write_bytes(msgspec.json.encode(finding))
