"""The right to watch, over every combination of facts."""

from __future__ import annotations

import itertools

from gateway.control.entitlements.model import Decision, Facts, Right, decide, last_end
from shared.clock import ManualClock

NAMES = Facts.__struct_fields__


def expected(facts: Facts) -> Decision:
    """The rule as prose would put it, written another way than the code."""
    if facts.taken_down:
        return Decision(False, "taken-down")
    if not facts.ready:
        return Decision(False, "not-ready")
    if not (facts.on_show or facts.owner or facts.admin):
        return Decision(False, "outside-window")
    if facts.blocked:
        return Decision(False, "blocked")
    for reason in ("free", "owner", "admin", "grant", "purchase"):
        if getattr(facts, reason):
            return Decision(True, reason)  # type: ignore[arg-type]
    return Decision(False, "no-right")


def test_decide_follows_the_order_when_given_any_facts() -> None:
    table = [Facts(**dict(zip(NAMES, values, strict=True))) for values in itertools.product((False, True), repeat=9)]
    assert len(table) == 2 ** len(NAMES) == 512
    assert [decide(facts) for facts in table] == [expected(facts) for facts in table]


def test_last_end_is_the_latest_when_all_end() -> None:
    clock = ManualClock()
    early = clock.now()
    clock.advance(60)
    late = clock.now()
    assert last_end([Right("purchase", early), Right("purchase", late)]) == late
    assert last_end([Right("purchase", late), Right("grant")]) is None
    assert last_end([]) is None
