"""A master is examined by a process of its own, which may hang or die without taking the worker along."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from farm import prober
from farm.probe import probe
from shared.errors import EncodeFailed, MasterRejected, Stopped
from tests.support import media

HANGS = "import time; time.sleep(600)"
DIES = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"


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


async def test_process_that_dies_is_a_failure_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "_BOOT", DIES)
    with pytest.raises(EncodeFailed, match=r"could not be examined .*SIGSEGV"):
        await prober.look(media.plain(), tmp_path, sound_only=False)
    assert list(tmp_path.iterdir()) == []


async def test_process_that_hangs_is_ended_at_its_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "_BOOT", HANGS)
    limits = msgspec.structs.replace(prober.LIMITS, deadline_s=0.5)
    with pytest.raises(EncodeFailed) as late:
        await prober.look(media.plain(), tmp_path, sound_only=False, limits=limits)
    assert late.value.code == "deadline"


async def test_process_ends_when_the_worker_is_told_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "_BOOT", HANGS)
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(Stopped):
        await prober.look(media.plain(), tmp_path, sound_only=False, stop=stop)
