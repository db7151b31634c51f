"""`usher test`: pytest in two lanes side by side, since tests with real parts wait more than they compute."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from infra.tree import ROOT

LANES = 2
#: Folders and files of tests by run of pytest; a lane that is free takes the next. Long ones come first, so that the
#: lanes end together. What is named alone is left out of its folder.
PARTS: dict[str, tuple[str, ...]] = {
    "e2e": ("e2e",),
    "farm": ("integration/farm",),
    "player": (
        "e2e/test_browser.py",
        "e2e/test_extremes.py",
        "e2e/test_interruptions.py",
        "e2e/test_making.py",
        "e2e/test_sound_menu.py",
        "e2e/test_subtitles.py",
        "e2e/test_takeover.py",
        "e2e/test_unmade.py",
        "e2e/test_wishes.py",
    ),
    "edge": ("integration/edge",),
    "infra": ("integration/infra",),
    "control": ("integration/control",),
    "chaos": ("chaos",),
    "unit": ("house", "unit", "contract"),
    "hostile": ("integration/hostile", "integration/support", "integration/uploads"),
}
#: What pytest's closing line counts, as "N passed, N failed" counts it.
_COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped)")
#: A line of pytest's short summary for a test that failed, or that could not be set up.
_FAILURE = re.compile(r"(FAILED|ERROR) tests/")
_WORDS = {"passed": "passed", "failed": "failed", "error": "failed", "errors": "failed", "skipped": "skipped"}
#: pytest's own exit statuses for "all passed" and "no tests collected".
_FINE = (0, 5)


class Part(msgspec.Struct, frozen=True):
    """How one run went: pytest's exit status and all it said."""

    status: int
    said: str


def run(options: Sequence[str]) -> int:
    """All tests in their lanes; each line as it is said, behind the name of its part. Returns 0 when all passed."""
    with ThreadPoolExecutor(max_workers=LANES) as pool:
        parts = list(pool.map(lambda part: _run(part, options), PARTS))
    print(*failures(parts), closing_line(parts), sep="\n")
    return max((part.status for part in parts if part.status not in _FINE), default=0)


def failures(parts: Sequence[Part]) -> list[str]:
    """pytest's line for each test that failed, of all parts: whoever reads only the end sees what to look at."""
    return [line for part in parts for line in part.said.splitlines() if _FAILURE.match(line)]


def closing_line(parts: Sequence[Part]) -> str:
    """The sum of the parts' closing lines: `N passed, N failed`, and skipped where any was."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for part in parts:
        last = next((line for line in reversed(part.said.splitlines()) if _COUNT.search(line)), "")
        for number, word in _COUNT.findall(last):
            counts[_WORDS[word]] += int(number)
    skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    return f"{counts['passed']} passed, {counts['failed']} failed{skipped}"


def paths(part: str) -> list[str]:
    """pytest's words for what a part runs: its own, without what another part names in it."""
    own = PARTS[part]
    named = [path for other in PARTS if other != part for path in PARTS[other]]
    left_out = [path for path in named if any(path.startswith(f"{folder}/") for folder in own)]
    return [*(f"tests/{path}" for path in own), *(f"--ignore=tests/{path}" for path in left_out)]


def _run(part: str, options: Sequence[str]) -> Part:
    said: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, *paths(part)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            said.append(line)
            # In one piece, so that the lanes do not write into each other's lines.
            sys.stdout.write(f"{part}: {line}")
            sys.stdout.flush()
    return Part(process.returncode, "".join(said))
