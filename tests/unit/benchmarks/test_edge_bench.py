"""The edge bench's own logic: what voids a run, what a ratio is of, what is written into configurations."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import msgspec
import pytest

from benchmarks import programs, wrk
from benchmarks.edge import latency, nginx, rounds, sides, throughput
from benchmarks.edge.rounds import Round
from benchmarks.edge.throughput import Measured
from benchmarks.tickets import round_robin

GOOD = wrk.Outcome(requests=100, bytes=100 * 1300, duration_s=1.0, p50_ms=1.0, p99_ms=2.0, status=0, broken=0)
changed = partial(msgspec.structs.replace, GOOD)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (GOOD, ""),
        (changed(status=1), "1 answers of 400"),
        (changed(broken=2), "0 answers of 400 and more, 2 broken"),
        (changed(bytes=100 * 1000), "100000 bytes for 100 bodies"),
        (changed(bytes=100 * 4000), "400000 bytes for 100 bodies"),
        (changed(requests=0, bytes=0), "0 bytes for 0 bodies"),
    ],
)
def test_a_run_counts_only_with_all_its_bytes_and_no_error(outcome: wrk.Outcome, words: str) -> None:
    fault = wrk.fault(outcome, body_bytes=1000, connections=2)
    assert fault.startswith(words) if words else fault == ""


def test_forged_tokens_count_only_when_each_was_refused() -> None:
    assert wrk.fault(changed(status=100, bytes=30_000), body_bytes=0, connections=2, wanted_status=False) == ""
    assert wrk.fault(changed(status=99, bytes=30_000), body_bytes=0, connections=2, wanted_status=False)


def test_outcome_is_found_among_what_wrk_says() -> None:
    line = msgspec.json.encode(GOOD).decode()
    assert wrk.parse(f"Running 1s test\n  2 threads\n{line}\n") == GOOD


def test_wrk_that_says_nothing_of_its_run_has_failed() -> None:
    with pytest.raises(wrk.Failed, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1:1 Connection refused")


def one(us: float, *, fault: str = "") -> Round:
    return Round(us=us, valkey_us=0.0, per_s=1.0, p50_ms=1.0, fault=fault)


def test_ratio_is_the_median_of_rounds_that_stood_beside_each_other() -> None:
    theirs, ours = [one(10), one(40), one(90)], [one(20), one(20), one(30)]
    assert rounds.ratio(theirs, ours) == 2.0
    assert rounds.ratio([*theirs, one(1, fault="x")], [*ours, one(1)]) is None
    assert rounds.ratio([], []) is None


def test_rows_hold_the_edge_against_each_other_side() -> None:
    measured = Measured(
        "1.5 KB", False, {sides.SECURE_LINK: [one(12)], sides.AUTH_CACHED: [one(30)], sides.EDGE: [one(20)]}
    )
    found = {row.case: row for row in throughput.rows(measured)}
    secure, cached = found["1.5 KB, against secure_link"], found["1.5 KB, against auth_request, cached 5 s"]
    assert (secure.value, secure.bar, secure.aim) == (0.6, 0.5, 0.7)
    assert (cached.value, cached.bar, cached.aim) == (1.5, None, None)


def test_every_target_names_a_case_that_is_measured() -> None:
    names = {size.name for size in sides.SIZES}
    assert {size for _, size, _ in throughput.MARKS} == names
    assert {side for side, _, _ in throughput.MARKS} == {sides.SECURE_LINK, sides.AUTH_REQUEST}


def test_each_token_fetches_another_body_with_each_pass() -> None:
    lines = list(round_robin(["a", "b", "c"], ["x", "y"], passes=2))
    assert lines == ["/t/a/x", "/t/b/y", "/t/c/x", "/t/a/y", "/t/b/x", "/t/c/y"]


def test_p99_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert latency.percentile(values, 0.99) == 99.0
    assert latency.percentile(values, 0.5) == 50.0
    assert latency.percentile([3.0], 0.99) == 3.0


def test_configuration_caches_decisions_only_where_it_says_so(tmp_path: Path) -> None:
    texts = [
        nginx.auth_request(tmp_path, port=1, origin_port=2, verifier_port=3, cached=cached) for cached in (False, True)
    ]
    assert ["proxy_cache auth;" in text for text in texts] == [False, True]
    assert all(text.count("{") == text.count("}") and "auth_request /verify" in text for text in texts)


def test_missing_program_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_ALSO", ())
    with pytest.raises(programs.Missing, match="needs nginx and wrk: apt install nginx wrk"):
        programs.find("nginx", "wrk", environ={"PATH": ""})
