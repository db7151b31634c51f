"""The parts that tests are run in, and the sum of their closing lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.cli.lanes import PARTS, Part, closing_line, failures, paths
from infra.tree import ROOT


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (["5 passed in 1.0s\n", "==== 2 failed, 3 passed in 9.10s ====\n"], "8 passed, 2 failed"),
        (["1 passed, 1 skipped in 1.0s\n", "2 errors in 3.0s\n"], "1 passed, 2 failed, 1 skipped"),
        (["no tests ran in 0.01s\n", ""], "0 passed, 0 failed"),
        (["FAILED 7 passed words\n1 failed in 2s\n", ""], "0 passed, 1 failed"),
    ],
)
def test_closing_line_counts_all_parts(said: list[str], line: str) -> None:
    assert closing_line([Part(0, words) for words in said]) == line


def test_failures_of_all_parts_stand_together() -> None:
    first = Part(1, "tests/a.py F\nFAILED tests/a.py::test_x - assert 1 == 2\n1 failed in 1s\n")
    second = Part(1, "FAILED words of a program\nERROR tests/b.py::test_y - OSError\n1 error in 1s\n")
    assert failures([first, Part(0, "3 passed in 1s\n"), second]) == [
        "FAILED tests/a.py::test_x - assert 1 == 2",
        "ERROR tests/b.py::test_y - OSError",
    ]


def test_every_test_is_in_one_part() -> None:
    run: dict[Path, int] = dict.fromkeys(ROOT.glob("tests/**/test_*.py"), 0)
    for part in PARTS:
        words = paths(part)
        own = [ROOT / word for word in words if not word.startswith("-")]
        left_out = [ROOT / word.removeprefix("--ignore=") for word in words if word.startswith("-")]
        assert all(path.exists() for path in (*own, *left_out))
        for test in run:
            is_run = any(test.is_relative_to(path) for path in own)
            run[test] += is_run and not any(test.is_relative_to(path) for path in left_out)
    assert len(run) > 100
    assert {path for path, parts in run.items() if parts != 1} == set()
