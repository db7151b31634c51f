"""Port numbers for servers of a test, outside the range the system hands out by itself.

Test processes run side by side, and granian shares a port that another server has (SO_REUSEPORT): each process keeps
the blocks of ports it took locked until it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import tempfile
from pathlib import Path

from infra.stack.probe import is_free

LOWEST, HIGHEST = 22000, 31000
BLOCK = 20
#: The locks of this process, and ports of its block that were not given out.
_held: list[contextlib.ExitStack] = []
_left: list[int] = []


def free_base(span: int = BLOCK) -> int:
    """The first of `span` ports in a row that nobody listens on and no other test gets."""
    if span == 1:
        return free_port()
    folder = Path(tempfile.gettempdir()) / f"usher-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for _ in range(10_000):
        base = LOWEST + BLOCK * secrets.randbelow((HIGHEST - LOWEST - span) // BLOCK)
        with contextlib.ExitStack() as taken:
            try:
                for block in range(base, base + span, BLOCK):
                    lock = taken.enter_context((folder / str(block)).open("wb"))
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if all(is_free(base + offset) for offset in range(span)):
                _held.append(taken.pop_all())
                return base
    raise AssertionError("no block of ports is free")


def free_port() -> int:
    """One port that nobody listens on and no other test gets."""
    while True:
        if not _left:
            base = free_base()
            _left.extend(range(base, base + BLOCK))
        port = _left.pop()
        if is_free(port):
            return port
