"""The judge of the cap: histories made by hand, sound ones and each way to break a bound."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.support.history import Bounds, Delivery, Ended, History, Span, violations

BOUNDS = Bounds(cap=1, lease_s=3, renew_s=1, outage_s=8)
STEP_S = 0.1


def played(sid: str, start: float, stop: float, *, edge: str = "one", confirmed: float | None = None) -> list[Delivery]:
    """A delivery each STEP_S, renewed at every one unless `confirmed` says when Redis was heard last."""
    steps = [start + STEP_S * number for number in range(round((stop - start) / STEP_S) + 1)]
    return [Delivery(edge, "viewer", sid, at, at - 0.01 if confirmed is None else confirmed) for at in steps]


def found(*plays: Iterable[Delivery], **more: Any) -> list[str]:
    deliveries = [one for play in plays for one in play]
    return violations(History(deliveries=deliveries, **more), BOUNDS)


def words(told: list[str]) -> str:
    assert told
    return " / ".join(told)


def test_one_after_the_other_is_sound() -> None:
    assert found(played("a", 0, 5), played("b", 5.1, 9)) == []


def test_one_session_on_two_edges_is_one_screen() -> None:
    assert found(played("a", 0, 5), played("a", 0, 5, edge="two")) == []


def test_two_at_once_are_found() -> None:
    assert "a, b played at once for 2.00 s" in words(found(played("a", 0, 5), played("b", 3, 9, edge="two")))


def test_two_at_once_are_found_between_deliveries_of_one_seat() -> None:
    slow = [Delivery("one", "viewer", "a", at, at - 0.01) for at in (0.0, 2.5)]
    assert "played at once" in words(found(slow, played("b", 1, 2, edge="two")))


def test_a_seat_given_back_in_between_is_not_held() -> None:
    again = [Delivery("one", "viewer", "a", at, at - 0.01) for at in (0.0, 2.5)]
    assert found(again, played("b", 1, 2, edge="two"), ends=[Ended("one", "a", 0.5), Ended("two", "b", 2.1)]) == []


def test_other_viewers_have_seats_of_their_own() -> None:
    other = [Delivery("two", "other", one.sid, one.at, one.confirmed) for one in played("b", 0, 5)]
    assert found(played("a", 0, 5), other) == []


@pytest.mark.parametrize(("stop", "is_sound"), [(5.9, True), (6.5, False)])
def test_a_takeover_leaves_a_second(stop: float, is_sound: bool) -> None:
    told = found(
        played("a", 0, 5), played("a", 5, stop, confirmed=4.9), played("b", 5, 9, edge="two"), takeovers={"a": 5.0}
    )
    assert (told == []) == is_sound
    assert is_sound or ("a on one" in words(told) and "taken over" in words(told))


@pytest.mark.parametrize(("stop", "is_sound"), [(7.9, True), (8.6, False)])
def test_a_lost_message_leaves_a_renewal(stop: float, is_sound: bool) -> None:
    told = found(
        played("a", 0, 5),
        played("a", 5.1, stop, confirmed=-5.0),
        takeovers={"a": 5.0},
        trouble={"one": [Span(4.5, 5.2)]},
    )
    lapsed_apart = [one for one in told if "taken over" in one]
    assert (lapsed_apart == []) == is_sound


def test_a_session_that_was_taken_over_never_comes_back() -> None:
    assert "taken over" in words(found(played("a", 0, 5), played("a", 9, 9, confirmed=4.9), takeovers={"a": 5.0}))


@pytest.mark.parametrize(("stop", "is_sound"), [(7.9, True), (8.5, False)])
def test_a_cut_off_edge_plays_on_for_the_outage(stop: float, is_sound: bool) -> None:
    told = found(played("a", 0, stop, confirmed=0.0), played("b", 4, 9, edge="two"), trouble={"one": [Span(0.5, stop)]})
    assert (told == []) == is_sound


def test_a_lapsed_seat_needs_trouble() -> None:
    assert "lapsed" in words(found(played("a", 0, 4, confirmed=0.0)))
    assert "lapsed" in words(found(played("a", 0, 4, confirmed=0.0), trouble={"two": [Span(0, 4)]}))
    assert "lapsed" in words(found(played("a", 20, 24, confirmed=20.0), trouble={"one": [Span(0, 4)]}))


def test_what_redis_never_knew_is_found() -> None:
    never = played("a", 0, 1, confirmed=float("-inf"))
    assert "lapsed" in words(found(never, trouble={"one": [Span(0, 4)]}))


@pytest.mark.parametrize(
    ("stop", "trouble", "is_sound"),
    [(3.2, "", True), (3.5, "", False), (4.9, "one", True), (4.9, "two", True), (4.9, "three", False)],
)
def test_a_session_ended_elsewhere_stops_in_a_second_or_with_its_renewal(
    stop: float, trouble: str, is_sound: bool
) -> None:
    told = found(
        played("a", 0, 2),
        played("a", 2.1, stop, confirmed=1.99),
        played("b", 2.1, 9, edge="two"),
        ends=[Ended("two", "a", 2.0)],
        trouble={trouble: [Span(1.5, 2.5)]},
    )
    assert ([one for one in told if "ended" in one] == []) == is_sound


@pytest.mark.parametrize(("stop", "is_sound"), [(4.4, True), (5.5, False)])
def test_a_forgotten_session_is_registered_again_soon(stop: float, is_sound: bool) -> None:
    told = found(played("a", 0, 2), played("a", 2.1, stop, confirmed=1.99), wipes=[2.0])
    assert ([one for one in told if "forgotten" in one] == []) == is_sound


@pytest.mark.parametrize(("start", "is_sound"), [(2.3, True), (5.0, False), (7.2, True)])
def test_new_sessions_wait_after_a_wipe(start: float, is_sound: bool) -> None:
    told = found(played("b", start, start + 0.5), wipes=[2.0])
    assert (told == []) == is_sound
    assert is_sound or "after Redis forgot" in words(told)


def test_sessions_that_ran_do_not_wait_after_a_wipe() -> None:
    assert found(played("a", 0, 9), wipes=[2.0]) == []
