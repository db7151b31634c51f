"""Pace: a burst at a start, ten a second after, held back a little, then refused; and a ceiling a prefix."""

from __future__ import annotations

import pytest

from gateway.edge.pace import HOLD_S, Pace
from gateway.edge.refusals import Refusal
from shared.settings import EdgeSettings


class One:
    """A session, as far as its pace goes."""

    paced = float("-inf")


def test_a_burst_passes_and_then_ten_a_second() -> None:
    pace, one = Pace(EdgeSettings()), One()
    assert [pace.take(one, "p", 100.0) for _ in range(60)] == [0.0] * 60
    assert pace.take(one, "p", 100.0) == pytest.approx(0.1)
    assert pace.take(one, "p", 100.2) == pytest.approx(0.0)
    for number in range(1, 1000):
        assert pace.take(one, "p", 100.2 + number / 10) == pytest.approx(0.0, abs=1e-6)


def test_a_pause_earns_the_burst_again_and_no_more() -> None:
    pace, one = Pace(EdgeSettings()), One()
    for start in (0.0, 1000.0):
        held = [pace.take(one, "p", start) for _ in range(62)]
        assert held[59] == 0.0 and held[60] > 0 and held[61] > held[60]


def test_a_download_at_full_speed_is_held_back_and_not_broken() -> None:
    pace, one, tick = Pace(EdgeSettings()), One(), 0.0
    for _ in range(1000):
        tick += pace.take(one, "p", tick) + 0.001
    assert tick == pytest.approx(94, abs=2)


def test_who_does_not_wait_is_refused_and_told_when_to_come_back() -> None:
    pace, one = Pace(EdgeSettings()), One()
    passed = 0
    with pytest.raises(Refusal) as caught:
        for _ in range(200):
            pace.take(one, "p", 5.0)
            passed += 1
    assert passed == 60 + HOLD_S * 10
    assert (caught.value.code, caught.value.status, caught.value.retry_after_s) == ("too-fast", 429, 1)
    # What was refused does not count, so waiting as long as was told helps.
    assert pace.take(one, "p", 6.0) <= HOLD_S


def test_a_prefix_has_a_ceiling_each_second() -> None:
    pace = Pace(EdgeSettings(pace_prefix_per_s=5))
    for second in (10.0, 11.0):
        for _ in range(5):
            pace.take(One(), "crowd", second)
        with pytest.raises(Refusal, match="network"):
            pace.take(One(), "crowd", second + 0.9)
        assert pace.take(One(), "other", second) == 0.0


def test_what_the_ceiling_refuses_costs_the_session_nothing() -> None:
    pace, one = Pace(EdgeSettings(pace_prefix_per_s=1)), One()
    pace.take(one, "crowd", 1.0)
    for _ in range(500):
        with pytest.raises(Refusal):
            pace.take(one, "crowd", 1.5)
    assert pace.take(one, "crowd", 2.0) == 0.0
