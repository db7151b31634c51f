"""The mark: a random word in the environment of every process of one run, so that none is left behind.

Run as a program (`python -m infra.stack.mark WORD`) it is the watchman: it waits for its standard input to close, which
is when the supervisor is gone however it went, and then ends whatever still carries the word.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

VARIABLE = "USHER_MARK"
#: What processes get to end by themselves (the death signal reached the direct children already).
GRACE_S = 1.0


def carriers(mark: str, proc: Path = Path("/proc")) -> list[int]:
    """Processes that carry the mark, but for ourselves."""
    word = f"{VARIABLE}={mark}".encode()
    found = []
    for folder in proc.iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                environ = (folder / "environ").read_bytes()
            except OSError:
                continue
            if word in environ.split(b"\0"):
                found.append(int(folder.name))
    return found


def sweep(mark: str, *, grace_s: float = GRACE_S) -> list[int]:
    """End everything that carries the mark after `grace_s` seconds; returns what had to be killed. Blocks."""
    deadline = time.monotonic() + grace_s
    while (left := carriers(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    killed = set[int]()
    while left:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            except OSError:
                continue
        time.sleep(0.02)
        left = [pid for pid in carriers(mark) if not _is_beyond_us(pid)]
    return sorted(killed)


def _is_beyond_us(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"


def main(mark: str) -> None:
    """Wait for the supervisor's end, then sweep."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 64):
        pass
    sweep(mark)


if __name__ == "__main__":
    main(sys.argv[1])
