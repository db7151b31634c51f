"""`usher test`, `usher chaos`, and `usher check`: everything that needs no server in one go."""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from rich.console import Console

from infra.cli import lanes
from infra.stack.plan import ROOT

#: What `usher chaos` runs: each of these looks for USHER_CHAOS_ROUNDS.
HAVE_LONG_FORM = (
    "tests/chaos",
    "tests/e2e/test_extremes.py",
    "tests/e2e/test_odd_masters.py",
    "tests/integration/hostile/test_fuzz.py",
)


class Check(msgspec.Struct, frozen=True):
    """One tool of `usher check`."""

    name: str
    argv: tuple[str, ...]


class Outcome(msgspec.Struct, frozen=True):
    """How a check went."""

    check: Check
    status: int
    said: str
    seconds: float


def checks() -> list[Check]:
    """What `usher check` runs, the longest first so that two cores end together."""
    python = sys.executable
    tests = [str(ROOT / "tests" / folder) for folder in ("house", "unit") if (ROOT / "tests" / folder).is_dir()]
    scripts = Path(python).parent
    return [
        Check("types", (python, "-m", "mypy", "--strict")),
        Check("tests", (python, "-m", "pytest", "-q", *tests)),
        Check("imports", (str(scripts / "lint-imports"),)),
        Check("lint", (python, "-m", "ruff", "check")),
        Check("format", (python, "-m", "ruff", "format", "--check")),
    ]


def test(arguments: argparse.Namespace) -> int:
    """pytest on all tests in two lanes, or on what the arguments name."""
    if any(not word.startswith("-") for word in arguments.pytest):
        return subprocess.run([sys.executable, "-m", "pytest", *arguments.pytest], cwd=ROOT).returncode
    return lanes.run(arguments.pytest)


def chaos(arguments: argparse.Namespace) -> int:
    """The tests that have a long form, in it."""
    environ = os.environ | {"USHER_CHAOS_ROUNDS": str(arguments.rounds)}
    return subprocess.run([sys.executable, "-m", "pytest", "-v", *HAVE_LONG_FORM], cwd=ROOT, env=environ).returncode


def check(_: argparse.Namespace) -> int:
    """Run all checks on the cores there are and print what failed."""
    console = Console(highlight=False, soft_wrap=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for done in concurrent.futures.as_completed([pool.submit(_run, one) for one in checks()]):
            outcome = done.result()
            failed += bool(outcome.status)
            word = "[red]failed" if outcome.status else "[green]ok"
            console.print(f"{outcome.check.name:8} {word}[/] {outcome.seconds:.0f} s")
            if outcome.status:
                console.print(outcome.said, markup=False)
    return 1 if failed else 0


def _run(check: Check) -> Outcome:
    start = time.monotonic()
    done = subprocess.run(check.argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return Outcome(check, done.returncode, done.stdout.rstrip(), time.monotonic() - start)
