"""What the edge logs of refused sessions: a line each, and never a token."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from gateway.edge import counts
from gateway.edge.counts import RefusedSessions
from tests.support.edge import claims


def test_a_refused_session_makes_one_line_for_each_reason() -> None:
    refused, one, other = RefusedSessions(), claims(1000.0), claims(1000.0)
    with capture_logs() as lines:
        for _ in range(3):
            refused.tell(one, "seats-full")
        refused.tell(one, "over")
        refused.tell(other, "seats-full")
    assert [(line["jti"], line["code"]) for line in lines] == [
        (one.jti, "seats-full"),
        (one.jti, "over"),
        (other.jti, "seats-full"),
    ]
    assert {frozenset(line) for line in lines} == {
        frozenset({"event", "log_level", "process", "code", "jti", "sid", "scope"})
    }


def test_what_was_logged_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "REMEMBERED", 2)
    refused, all_ = RefusedSessions(), [claims(1000.0) for _ in range(3)]
    with capture_logs() as lines:
        for one in [*all_, all_[2], all_[0]]:
            refused.tell(one, "over")
    assert [line["jti"] for line in lines] == [one.jti for one in [*all_, all_[0]]]
