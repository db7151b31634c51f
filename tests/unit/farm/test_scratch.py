"""Room for chunks in work: asked for before, given back after, however the work ended."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from farm import scratch
from shared.errors import EncodeFailed, NoRoom
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
            pytest.raises(NoRoom, match="no room for it: 50 MiB are needed beside 60 of 100 MiB"),
            scratch.folder(made, 50 * MIB),
        ):
            pass
        with scratch.folder(made, 40 * MIB):
            pass
    assert scratch.used_bytes(made) == 0


def test_what_would_not_fit_even_alone_is_told_from_what_has_to_wait(tmp_path: Path) -> None:
    with pytest.raises(EncodeFailed) as refused, scratch.folder(settings(tmp_path), 101 * MIB):
        pass
    assert (refused.value.code, refused.value.details["lost"]) == ("scratch-full", True)


def test_a_folder_that_is_removed_while_it_is_counted_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = settings(tmp_path)
    look = os.scandir

    def removed_before(path: str | Path | int) -> object:
        if isinstance(path, str | Path) and Path(path).parent.name == "chunks":
            shutil.rmtree(path)
        return look(path)

    with scratch.folder(made, MIB):
        monkeypatch.setattr(os, "scandir", removed_before)
        assert scratch.used_bytes(made) == MIB


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
