"""The money bench runs: everything once and short, against a Postgres of its own, so that it does not rot."""

from __future__ import annotations

import msgspec
import pytest

from infra.cli import main


def test_bench_of_money_measures_and_ends_with_its_object(capfd: pytest.CaptureFixture[str]) -> None:
    status = main(["bench", "money", "--quick", "--no-page"])
    said = capfd.readouterr()
    assert status == 0, said.out[-3000:] + said.err[-3000:]
    done = msgspec.json.decode(said.out.splitlines()[-1])
    assert done["bench"] == "bench-money"
    values = {row["case"]: row["value"] for row in done["rows"]}
    assert "audit of 10,000 postings" in values and "post(), p99" in values
    assert "entitlement from Postgres among 10,000 purchases of 1,000 viewers, p95" in values
    assert "checkout by wallet, one buyer after the other, p95" in values
    assert [case for case, value in values.items() if value is None] == [], said.err[-3000:]


def test_bench_of_money_refuses_a_case_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "money", "--only", "post,speed"]) == 2
    assert "There is no case speed" in capsys.readouterr().err
