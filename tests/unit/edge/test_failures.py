"""Failures by injected time: what a sender may fail, what all may, and who is kept out by whom."""

from __future__ import annotations

import pytest

from gateway.edge.failures import IN_TOTAL, LATELY_S, PER_ADDRESS, REMEMBERED, SAVED_S, Failures, sender_of
from gateway.edge.refusals import Refusal

SHARE = IN_TOTAL // 2


class Flood:
    """Failures, a clock, and senders who fail as often as they may."""

    def __init__(self) -> None:
        self.clock = 1000.0
        self.failures = Failures(tick=lambda: self.clock)

    def may(self, sender: str) -> bool:
        try:
            self.failures.check(sender)
        except Refusal as refused:
            assert (refused.code, refused.retry_after_s) == ("too-many", 1)
            return False
        return True

    def fail(self, sender: str) -> bool:
        """One wrong token; whether it was looked at."""
        if not self.may(sender):
            return False
        self.failures.count(sender)
        return True

    def fails(self, *senders: str, count: int = 1) -> int:
        return sum(self.fail(sender) for _ in range(count) for sender in senders)


def addresses(count: int) -> list[str]:
    return [f"10.{number >> 8}.{number & 255}.1" for number in range(count)]


def test_a_sender_may_fail_fifty_times_a_second() -> None:
    flood = Flood()
    assert flood.fails("a", count=100) == PER_ADDRESS
    flood.clock += 1
    assert flood.fails("a", count=100) == PER_ADDRESS
    assert flood.may("b")


def test_senders_who_failed_lately_share_one_half_and_leave_the_other() -> None:
    flood, forgers = Flood(), addresses(50)
    flood.fails(*forgers)
    for _ in range(5):
        flood.clock += 1
        assert SHARE * 0.8 <= flood.fails(*forgers, count=40) <= SHARE
        assert flood.may("somebody else")


def test_who_failed_once_is_not_kept_out_by_those_who_fail_all_the_time() -> None:
    flood, forgers = Flood(), addresses(50)
    flood.fails("unlucky", *forgers)
    flood.clock += 1
    flood.fails(*forgers, count=40)
    assert flood.may("unlucky")


def test_a_failure_is_held_against_its_sender_for_a_while() -> None:
    flood = Flood()
    assert not flood.failures.is_suspect("a")
    flood.fail("a")
    flood.clock += LATELY_S - 1
    assert flood.failures.is_suspect("a")
    flood.clock += 1
    assert not flood.failures.is_suspect("a")


def test_thousands_who_never_failed_are_met_once_each() -> None:
    flood, forgers = Flood(), addresses(5000)
    assert flood.fails(*forgers) == 5000
    assert flood.may("somebody else")
    flood.clock += 1
    assert flood.fails(*forgers) <= SHARE
    assert flood.may("somebody else")


def test_more_than_was_saved_is_refused_and_comes_back_with_time() -> None:
    flood, forgers = Flood(), addresses(3 * SAVED_S * IN_TOTAL)
    saved = SAVED_S * IN_TOTAL
    assert flood.fails(*forgers[: 2 * saved]) == saved
    assert not flood.may("somebody else")
    flood.clock += 1
    assert flood.fails(*forgers[2 * saved :]) == SHARE
    flood.clock += 1000
    assert flood.fails(*addresses(5000)) == 5000


def test_no_more_senders_are_remembered_than_have_room() -> None:
    flood = Flood()
    for number in range(REMEMBERED + 10):
        flood.failures.count(f"sender-{number}")
    known = [flood.failures.is_suspect(f"sender-{number}") for number in range(REMEMBERED + 10)]
    assert sum(known) == REMEMBERED and not any(known[:10])


@pytest.mark.parametrize(
    ("address", "sender"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_a_sender_is_an_address(address: str, sender: str) -> None:
    assert sender_of(address) == sender


def test_a_sender_is_the_prefix_of_an_address_of_which_one_may_hold_many() -> None:
    assert sender_of("2001:db8:1::1") == sender_of("2001:db8:1:ffff::2") != sender_of("2001:db8:2::1")
