"""What a bench says at its end: a table, its part of docs/benchmarks.md, and one JSON object as the last line."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from infra.tree import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
_TITLE = """# Benchmarks

What Usher costs beside what else one might run. Each part is written by the bench it names: both sides in one run,
interleaved, the bytes checked. Ratios of one run hold on another machine better than figures do.
"""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One case. `value` is held against `bar`; without a bar it is only told. None: the row is void."""

    case: str
    ours: float | None
    theirs: float | None
    unit: str
    value: float | None
    bar: float | None = None
    aim: float | None = None
    better: Literal["higher", "lower"] = "higher"

    @property
    def word(self) -> str:
        """How it went: void, below the bar, held, the aim reached, or only told."""
        if self.value is None:
            return "void"
        if self.bar is None:
            return ""
        if not self._reaches(self.bar):
            return "below the bar"
        return "aim" if self.aim is not None and self._reaches(self.aim) else "held"

    def _reaches(self, mark: float) -> bool:
        assert self.value is not None
        return self.value >= mark if self.better == "higher" else self.value <= mark


class Report(msgspec.Struct, frozen=True):
    """The JSON object of a bench."""

    bench: str
    date: str
    machine: str
    commit: str
    rows: list[Row]

    @property
    def failed(self) -> bool:
        """Whether a row is void or does not hold its bar."""
        return any(row.word in ("void", "below the bar") for row in self.rows)


def make(bench: str, rows: Sequence[Row], *, now: datetime.datetime) -> Report:
    """The report of a run that ended now, on this machine, of this commit."""
    return Report(bench, now.isoformat(timespec="seconds"), machine(), commit(), list(rows))


def machine() -> str:
    """Processor, cores, memory and kernel in one line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{cores} x {processor or platform.machine()}, {memory:.0f} GiB, Linux {platform.release()}"


def commit() -> str:
    """The commit that was measured; `+` when files differ from it, empty in a copy without git."""
    try:
        named = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
        changed = subprocess.run(
            ["git", "status", "--porcelain", "-uno"], cwd=ROOT, capture_output=True, text=True
        ).stdout
    except OSError:
        return ""
    return named.stdout.strip() + ("+" if changed.strip() else "")


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded so that it reads well in a terminal too."""
    widths = [max(3, *(len(line[column]) for line in (header, *lines))) for column in range(len(header))]
    rule = ["-" * width for width in widths]
    texts = (header, rule, *lines)
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in texts
    )


def figures(rows: Sequence[Row]) -> str:
    """The rows as a table."""
    header = ("case", "ours", "theirs", "unit", "value", "bar", "aim", "")
    lines = [
        (
            row.case,
            number(row.ours),
            number(row.theirs),
            row.unit,
            *map(number, (row.value, row.bar, row.aim)),
            row.word,
        )
        for row in rows
    ]
    return table(header, lines)


def number(value: float | None) -> str:
    """A figure with the digits that mean something."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def put(page: str, bench: str, part: str) -> str:
    """`page` with the part of a bench between its markers put in place; added at the end where it has none yet."""
    first, last = f"<!-- {bench}: written by its run -->", f"<!-- {bench}: end -->"
    text = f"{first}\n{part.strip()}\n{last}"
    before, marker, rest = page.partition(first)
    if not marker:
        return f"{page.rstrip()}\n\n{text}\n"
    return before + text + rest.partition(last)[2]


def write(bench: str, part: str, page: Path = PAGE, *, is_whole: bool = True) -> None:
    """Rewrite one bench's part of the page. A whole run is newer than all runs of some of its cases: theirs go."""
    text = page.read_text() if page.exists() else _TITLE
    if is_whole:
        some = rf"<!-- {re.escape(bench)}-\S+: written by its run -->.*?<!-- {re.escape(bench)}-\S+: end -->\n*"
        text = re.sub(some, "", text, flags=re.DOTALL)
    page.write_text(put(text, bench, part))
