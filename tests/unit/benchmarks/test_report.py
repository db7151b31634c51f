"""What a bench says of its figures: bars, tables, and its own part of the page alone."""

from __future__ import annotations

import datetime
from pathlib import Path

import msgspec
import pytest

from benchmarks import report
from benchmarks.report import Row

NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)


def row(value: float | None, *, bar: float | None = 1.0, better: str = "higher") -> Row:
    return Row(case="c", ours=1.0, theirs=2.0, unit="us", value=value, bar=bar, aim=2.0, better=better)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "word"),
    [
        (row(0.9), "below the bar"),
        (row(1.0), "held"),
        (row(2.0), "aim"),
        (row(None), "void"),
        (row(0.1, bar=None), ""),
        (row(1.1, better="lower"), "below the bar"),
        (msgspec.structs.replace(row(0.9, better="lower"), aim=0.5), "held"),
        (msgspec.structs.replace(row(0.5, better="lower"), aim=0.5), "aim"),
    ],
)
def test_row_says_how_its_value_stands_to_the_bar(made: Row, word: str) -> None:
    assert made.word == word


@pytest.mark.parametrize(("values", "failed"), [([1.0, 3.0], False), ([1.0, 0.5], True), ([1.0, None], True)])
def test_report_fails_when_one_row_does(values: list[float | None], failed: bool) -> None:
    assert report.make("b", [row(value) for value in values], now=NOW).failed is failed


def test_report_is_the_object_that_benches_promise() -> None:
    said = msgspec.json.decode(msgspec.json.encode(report.make("bench-edge", [row(1.5)], now=NOW)))
    assert set(said) == {"bench", "date", "machine", "commit", "rows"}
    assert set(said["rows"][0]) == {"case", "ours", "theirs", "unit", "value", "bar", "aim", "better"}
    assert said["date"] == "2026-11-21T12:00:00+00:00"


def test_bench_rewrites_its_part_and_leaves_the_others(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    report.write("one", "first of one", page)
    report.write("two", "first of two", page)
    before = page.read_text()
    report.write("one", "second of one", page)
    assert page.read_text() == before.replace("first of one", "second of one")
    assert before.startswith("# Benchmarks")


def test_whole_run_removes_what_runs_of_some_cases_wrote_before_it(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    for bench in ("one", "two"):
        report.write(bench, f"all of {bench}", page)
        report.write(f"{bench}-case", f"some of {bench}", page, is_whole=False)
    report.write("one", "all of one anew", page)
    text = page.read_text()
    assert "some of one" not in text and "one-case" not in text
    assert [words in text for words in ("all of one anew", "all of two", "some of two")] == [True] * 3


def test_table_is_as_wide_as_its_widest_cell() -> None:
    lines = report.table(("a", "b"), [("long cell", "1"), ("x", "2")]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1].startswith("| --------- |")
