"""Room for chunks in work: asked for before, given back after, however the work ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from farm import scratch
from shared.errors import EncodeFailed
from shared.settings import FarmSettings

MIB = 1 << 20


def settings(tmp_path: Path, quota_bytes: int = 100 * MIB) -> FarmSettings:
    return FarmSettings(scratch_dir=tmp_path / "scratch", scratch_quota_bytes=quota_bytes)


def test_a_folder_is_there_for_the_work_and_gone_after_it(tmp_path: Path) -> None:
    with scratch.folder(settings(tmp_path), MIB) as folder:
        (folder / "a.mp4").write_bytes(b"x")
    assert not folder.exists()


def test_a_folder_is_gone_after_work_that_failed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch.folder(settings(tmp_path), MIB) as folder:
        raise ZeroDivisionError
    assert not folder.exists()


def test_what_was_asked_for_counts_before_it_is_written(tmp_path: Path) -> None:
    made = settings(tmp_path)
    with scratch.folder(made, 60 * MIB):
        assert scratch.used_bytes(made) == 60 * MIB
        with (
            pytest.raises(EncodeFailed, match="no room for it: 50 MiB are needed beside 60 of 100 MiB") as refused,
            scratch.folder(made, 50 * MIB),
        ):
            pass
        assert (refused.value.code, refused.value.details["lost"]) == ("scratch-full", True)
        with scratch.folder(made, 40 * MIB):
            pass
    assert scratch.used_bytes(made) == 0


def test_more_than_was_asked_for_counts_too(tmp_path: Path) -> None:
    made = settings(tmp_path)
    with scratch.folder(made, MIB) as folder:
        (folder / "a.mp4").write_bytes(b"x" * 3 * MIB)
        assert scratch.used_bytes(made) >= 3 * MIB


def test_what_a_killed_worker_left_is_removed_by_the_next(tmp_path: Path) -> None:
    made = settings(tmp_path)
    body = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from farm import scratch\n"
        "from shared.settings import FarmSettings\n"
        "with scratch.folder(FarmSettings(scratch_dir=Path(sys.argv[1])), 90 << 20):\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", body, str(made.scratch_dir)], check=False, timeout=20)
    assert scratch.used_bytes(made) == 90 * MIB

    with scratch.folder(made, 90 * MIB) as folder:
        assert [one.name for one in folder.parent.iterdir()] == [folder.name]
