"""`usher test`: pytest in two lanes side by side, since tests with real parts wait more than they compute."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from infra.tree import ROOT

#: Folders of tests by lane, the quick ones first, so that what breaks is seen early. The first lane is shown live.
_REAL = ("control", "edge", "farm", "hostile", "support", "uploads")
LANES = (
    ("house", "unit", "contract", *(f"integration/{part}" for part in _REAL)),
    ("e2e", "chaos", "integration/infra"),
)
#: What pytest's closing line counts, as "N passed, N failed" counts it.
_COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped)")
_WORDS = {"passed": "passed", "failed": "failed", "error": "failed", "errors": "failed", "skipped": "skipped"}
#: pytest's own exit statuses for "all passed" and "no tests collected".
_FINE = (0, 5)


class Lane(msgspec.Struct, frozen=True):
    """How one lane went: pytest's exit status and all it said."""

    status: int
    said: str


def run(options: Sequence[str]) -> int:
    """All tests in their lanes; what the second says comes after the first. Returns 0 when everything passed."""
    with ThreadPoolExecutor(max_workers=len(LANES)) as pool:
        lanes = [pool.submit(_lane, folders, options, live=not number) for number, folders in enumerate(LANES)]
        first, *others = [lane.result() for lane in lanes]
    for other in others:
        print(other.said)
    print(closing_line([first, *others]))
    return max((lane.status for lane in (first, *others) if lane.status not in _FINE), default=0)


def closing_line(lanes: Sequence[Lane]) -> str:
    """The sum of the lanes' closing lines: `N passed, N failed`, and skipped where any was."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for lane in lanes:
        last = next((line for line in reversed(lane.said.splitlines()) if _COUNT.search(line)), "")
        for number, word in _COUNT.findall(last):
            counts[_WORDS[word]] += int(number)
    skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    return f"{counts['passed']} passed, {counts['failed']} failed{skipped}"


def _lane(folders: Sequence[str], options: Sequence[str], *, live: bool) -> Lane:
    present = [f"tests/{folder}" for folder in folders if (Path(ROOT) / "tests" / folder).is_dir()]
    said: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, *present],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            said.append(line)
            if live:
                print(line, end="", flush=True)
    return Lane(process.returncode, "".join(said))
