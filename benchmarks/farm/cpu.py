"""What a piece of work costs: CPU of this process and of all children it waited for, and time on the wall."""

from __future__ import annotations

import asyncio
import resource
import shutil
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

#: Lines of a failed program that are told.
LAST_LINES = 12


class Failed(Exception):
    """A program of a bench ended badly; the words are its last lines."""


class Cost(msgspec.Struct, frozen=True):
    """Seconds of CPU (user and system) and on the wall."""

    cpu_s: float
    wall_s: float


#: One side of a comparison: does its work in the empty folder it is given.
Side = Callable[[Path], Awaitable[object]]


class Outcome(msgspec.Struct, frozen=True):
    """The costs of a side, round by round, and the folder of its last round."""

    costs: list[Cost]
    folder: Path

    @property
    def cpu_s(self) -> float:
        """The median of its CPU."""
        return statistics.median(cost.cpu_s for cost in self.costs)

    @property
    def wall_s(self) -> float:
        """The median of its time on the wall."""
        return statistics.median(cost.wall_s for cost in self.costs)


async def cost(work: Awaitable[object]) -> Cost:
    """Do a piece of work. What this process itself does meanwhile counts too; a child that nobody waits for does not.

    Nothing else may run in this process at the time.
    """
    before, began = used_s(), time.monotonic()
    await work
    return Cost(used_s() - before, time.monotonic() - began)


def used_s() -> float:
    """CPU of this process and of its children that ended, with theirs, since it started."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


async def interleaved(sides: Mapping[str, Side], folder: Path, *, rounds: int) -> dict[str, Outcome]:
    """Let each side have its turn in every round, the order turned about each time. Only the last folders are kept."""
    costs: dict[str, list[Cost]] = {name: [] for name in sides}
    for turn in range(rounds):
        for name in list(sides) if turn % 2 == 0 else reversed(list(sides)):
            own = emptied(folder / name)
            costs[name].append(await cost(sides[name](own)))
    return {name: Outcome(costs[name], folder / name) for name in sides}


def ratio(ours: Outcome, theirs: Outcome) -> float:
    """The median of our CPU over theirs, round by round."""
    return statistics.median(a.cpu_s / b.cpu_s for a, b in zip(ours.costs, theirs.costs, strict=True))


def emptied(folder: Path) -> Path:
    """The folder, made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


async def run(argv: Sequence[str], folder: Path) -> str:
    """Run a program of the other side in `folder`; what it wrote to standard error. Raises Failed with its words."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said = (await process.communicate())[1].decode(errors="replace")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise Failed(f"{argv[0]} ended with {process.returncode}: " + " | ".join(said.splitlines()[-LAST_LINES:]))
    return said
