"""CPU time and memory of process trees, read from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
#: Fields of /proc/<pid>/stat after the name in brackets (proc_pid_stat(5) counts from 1, with pid and name before).
_PARENT, _USER, _SYSTEM = 1, 11, 12


def tree(root: int, proc: Path = PROC) -> list[int]:
    """`root` and all that descends from it, those that run now."""
    children: dict[int, list[int]] = {}
    for folder in proc.iterdir():
        if folder.name.isdigit() and (stat := _stat(int(folder.name), proc)):
            children.setdefault(int(stat[_PARENT]), []).append(int(folder.name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def cpu_s(pids: Iterable[int], proc: Path = PROC) -> float:
    """Seconds of CPU (user and system) these processes have used since their start; those that ended count nothing."""
    stats = (_stat(pid, proc) for pid in pids)
    return sum((int(stat[_USER]) + int(stat[_SYSTEM])) for stat in stats if stat) / TICKS_PER_S


def memory_bytes(pids: Iterable[int], proc: Path = PROC) -> int:
    """Bytes of RAM of these processes; pages that several share are divided among them (Pss)."""
    return sum(_pss(pid, proc) for pid in pids)


def _stat(pid: int, proc: Path) -> list[str]:
    try:
        return (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _pss(pid: int, proc: Path) -> int:
    try:
        lines = (proc / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)
