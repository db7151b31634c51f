"""A master is examined by a process of its own, which may hang or die without taking the worker along."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import struct
import sys
from pathlib import Path

import msgspec
import pytest

from farm import prober
from farm.probe import probe
from shared.errors import EncodeFailed, MasterRejected, Stopped
from tests.support import media

HANGS = "import time; time.sleep(600)"
DIES = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
#: The real process, but what looks at the master does this.
BOOT = prober._BOOT.replace(
    "main()", "import farm.prober as p, os, signal, time; p.probe = lambda *_, **__: {}; main()"
)


@pytest.fixture
def none_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process waits yet."""
    monkeypatch.setattr(prober, "_WAITING", [])


async def test_process_finds_what_the_probe_finds(tmp_path: Path) -> None:
    assert await prober.look(media.plain(), tmp_path, sound_only=False) == probe(media.plain())
    assert list(tmp_path.iterdir()) == []


async def test_refusal_comes_back_with_code_and_words(tmp_path: Path) -> None:
    notes = media.written("notes.mp4", b"these are notes and no film\n" * 100)
    with pytest.raises(MasterRejected) as here:
        probe(notes)
    with pytest.raises(MasterRejected) as there:
        await prober.look(notes, tmp_path, sound_only=False)
    assert (there.value.code, str(there.value)) == (here.value.code, str(here.value))


async def test_process_that_dies_is_a_failure_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, none_waiting: None
) -> None:
    monkeypatch.setattr(prober, "_BOOT", DIES)
    with pytest.raises(EncodeFailed, match=r"could not be examined .*SIGSEGV"):
        await prober.look(media.plain(), tmp_path, sound_only=False)
    assert list(tmp_path.iterdir()) == []


async def test_process_that_does_not_start_is_no_fault_of_the_master(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, none_waiting: None
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(EncodeFailed, match="does not start: No such file") as failed:
        await prober.look(media.plain(), tmp_path, sound_only=False)
    assert (failed.value.code, failed.value.details["lost"]) == ("not-started", True)


async def test_process_that_hangs_is_ended_at_its_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, none_waiting: None
) -> None:
    monkeypatch.setattr(prober, "_BOOT", HANGS)
    limits = msgspec.structs.replace(prober.LIMITS, deadline_s=0.5)
    with pytest.raises(EncodeFailed) as late:
        await prober.look(media.plain(), tmp_path, sound_only=False, limits=limits)
    assert late.value.code == "deadline"


async def test_process_ends_when_the_worker_is_told_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, none_waiting: None
) -> None:
    monkeypatch.setattr(prober, "_BOOT", HANGS)
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(Stopped):
        await prober.look(media.plain(), tmp_path, sound_only=False, stop=stop)


@pytest.mark.parametrize("how", ["os.kill(os.getpid(), signal.SIGSEGV)", "time.sleep(600)", "b''.decode(1)"])
async def test_the_process_that_forks_survives_or_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, none_waiting: None, how: str
) -> None:
    monkeypatch.setattr(prober, "_BOOT", BOOT.format(how))
    limits = msgspec.structs.replace(prober.LIMITS, deadline_s=2)
    with pytest.raises(EncodeFailed, match="could not be examined"):
        await prober.look(media.plain(), tmp_path, sound_only=False, limits=limits)
    monkeypatch.undo()
    assert (await prober.look(media.plain(), tmp_path, sound_only=False)).demuxer == "mov"


async def test_one_process_serves_one_master_after_the_other(tmp_path: Path, none_waiting: None) -> None:
    await prober.look(media.plain(), tmp_path, sound_only=False)
    (first,) = prober._WAITING
    await prober.look(media.plain(), tmp_path, sound_only=False)

    assert [first] == prober._WAITING and first.is_ready
    first.end()


async def test_a_process_that_was_killed_while_it_waited_is_replaced(tmp_path: Path, none_waiting: None) -> None:
    await prober.look(media.plain(), tmp_path, sound_only=False)
    (first,) = prober._WAITING
    os.kill(first.pid, signal.SIGKILL)
    first._process.wait()

    await prober.look(media.plain(), tmp_path, sound_only=False)
    assert first not in prober._WAITING
    prober._WAITING[0].end()


def vast_index() -> Path:
    """A file of hardly a block that says its index takes 250 MiB."""
    size = 250 << 20
    path = media.written("vast-index.mp4", struct.pack(">I4s4sI4s", 12, b"ftyp", b"isom", size, b"moov"))
    os.truncate(path, 12 + size)
    return path


async def test_memory_is_bounded_for_the_one_master(tmp_path: Path, none_waiting: None) -> None:
    await prober.look(media.plain(), tmp_path, sound_only=False)
    (waits,) = prober._WAITING
    # Enough for all but the index: else it fails somewhere, in words of chance.
    mapped = int(Path(f"/proc/{waits.pid}/statm").read_text().split()[0]) * resource.getpagesize()
    little = msgspec.structs.replace(prober.LIMITS, memory_bytes=mapped + (100 << 20))
    with pytest.raises(MasterRejected, match="takes more memory than any video needs"):
        await prober.look(vast_index(), tmp_path, sound_only=False, limits=little)
    await prober.look(media.plain(), tmp_path, sound_only=False)


def test_rehearsal_of_a_look_goes_through_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process goes on without it, but then each look is dear."""
    monkeypatch.chdir(tmp_path)
    for _ in range(5):
        prober._rehearse()
    assert list(tmp_path.iterdir()) == []
