"""CPU and memory of process trees, from files that look like /proc."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks import processes


def process(proc: Path, pid: int, *, parent: int, user: int = 0, system: int = 0, pss_kib: int = 0) -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    rest = ["S", str(parent), *["0"] * 9, str(user), str(system), "99", "99"]
    (folder / "stat").write_text(f"{pid} (a (strange) name) {' '.join(rest)}\n")
    (folder / "smaps_rollup").write_text(f"0-1 ---p\nRss: 9999 kB\nPss:  {pss_kib} kB\nPss_Dirty: 7 kB\n")


def test_tree_holds_all_that_descends(tmp_path: Path) -> None:
    for pid, parent in ((10, 1), (11, 10), (12, 11), (13, 1), (14, 13)):
        process(tmp_path, pid, parent=parent)
    (tmp_path / "self").mkdir()
    assert sorted(processes.tree(10, tmp_path)) == [10, 11, 12]


def test_cpu_is_user_and_system_of_all(tmp_path: Path) -> None:
    process(tmp_path, 10, parent=1, user=200, system=50)
    process(tmp_path, 11, parent=10, user=30, system=20)
    assert processes.cpu_s([10, 11, 12], tmp_path) == 300 / processes.TICKS_PER_S


def test_memory_shares_shared_pages(tmp_path: Path) -> None:
    process(tmp_path, 10, parent=1, pss_kib=100)
    process(tmp_path, 11, parent=10, pss_kib=28)
    assert processes.memory_bytes([10, 11, 12], tmp_path) == 128 << 10


def test_a_real_child_is_found_with_its_memory() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in processes.tree(os.getpid())
        assert processes.memory_bytes([child.pid]) > 0
        assert child.stdin
        child.stdin.close()
