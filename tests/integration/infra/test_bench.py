"""The benches run: everything once and tiny, against real servers, so that they do not rot."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks import programs
from infra.cli import main
from tests.support.ports import free_base


def test_bench_of_the_edge_measures_and_ends_with_its_object(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USHER_PORT_BASE", str(free_base(100)))
    status = main(["bench", "edge", "--quick", "--no-page", "--only", "start,forged,fill,misses"])
    said = capfd.readouterr()
    try:
        programs.find("nginx", "wrk")
    except programs.Missing as missing:
        assert (status, said.err.strip()) == (2, str(missing))
        return
    assert status == 0, said.out[-3000:] + said.err[-3000:]
    done = msgspec.json.decode(said.out.splitlines()[-1])
    assert done["bench"] == "bench-edge"
    values = {row["case"]: row["value"] for row in done["rows"]}
    assert values["100 simultaneous misses of one body"] == 1.0
    assert [case for case, value in values.items() if value is None] == []


def test_bench_refuses_a_case_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "edge", "--only", "speed"]) == 2
    assert "There is no case speed" in capsys.readouterr().err


def test_players_at_a_slow_edge_all_play_and_the_run_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USHER_PORT_BASE", str(free_base(100)))
    status = main(["load", "--players=5", "--seconds=8", "--slow-ms=500", "--no-page", f"--out={tmp_path}"])
    said = capfd.readouterr()
    found = msgspec.json.decode((tmp_path / "result.json").read_bytes())
    assert (status, found["started"], found["errors"]) == (1, 5, []), said.out[-3000:] + said.err[-3000:]
    assert "broken: segment: p95" in said.out
    assert sum(timing["failures"] for timing in found["timings"]) == 0
    assert found["refused_fighters"] > 0
    assert said.out.splitlines()[-1] == f"The report is {tmp_path / 'report.html'}"
    assert (tmp_path / "report.html").stat().st_size > 10_000
