"""The circuit breaker: when it opens, who may probe, and what closes it."""

from __future__ import annotations

from gateway.edge.breaker import FAILURES, MAX_OPEN_S, OPEN_S, WINDOW_S, Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def opened() -> tuple[Breaker, Clock]:
    clock = Clock()
    breaker = Breaker(tick=clock)
    for _ in range(FAILURES):
        assert breaker.admits()
        breaker.failed()
    return breaker, clock


def test_it_opens_after_failures_in_a_row() -> None:
    breaker, _ = opened()
    assert (breaker.state, breaker.admits()) == ("open", False)


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = Breaker(tick=Clock())
    for _ in range(3 * FAILURES):
        for _ in range(FAILURES - 1):
            breaker.failed()
        breaker.succeeded()
    assert breaker.admits()


def test_failures_far_apart_keep_it_closed() -> None:
    clock = Clock()
    breaker = Breaker(tick=clock)
    for _ in range(2 * FAILURES):
        clock.now += WINDOW_S / (FAILURES - 1) + 1
        breaker.failed()
    assert breaker.state == "closed"


def test_one_alone_probes_and_success_closes_it() -> None:
    breaker, clock = opened()
    clock.now += OPEN_S
    assert [breaker.admits() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert (breaker.state, breaker.admits()) == ("closed", True)


def test_a_probe_that_fails_opens_it_for_longer_up_to_a_bound() -> None:
    breaker, clock = opened()
    pauses = []
    for _ in range(6):
        begin = clock.now
        while not breaker.admits():
            clock.now += 0.25
        pauses.append(clock.now - begin)
        breaker.failed()
    assert pauses == [OPEN_S, 2 * OPEN_S, 4 * OPEN_S, MAX_OPEN_S, MAX_OPEN_S, MAX_OPEN_S]


def test_a_probe_that_goes_away_lets_the_next_one_probe() -> None:
    breaker, clock = opened()
    clock.now += OPEN_S
    assert breaker.admits()
    breaker.left()
    assert breaker.admits()


def test_failures_of_questions_asked_before_it_opened_do_not_hold_it_open() -> None:
    breaker, clock = opened()
    breaker.failed()
    clock.now += OPEN_S
    assert breaker.admits()
    breaker.succeeded()
    breaker.failed()
    assert breaker.state == "closed"
