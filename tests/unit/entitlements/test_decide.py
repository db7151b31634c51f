"""The right to watch, over every combination of facts."""

from __future__ import annotations

import itertools

from gateway.control.entitlements.model import Decision, Facts, Reason, decide

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
    reasons: tuple[Reason, ...] = ("free", "owner", "admin", "grant", "purchase", "rent", "view")
    for reason in reasons:
        if getattr(facts, reason):
            return Decision(True, reason)
    return Decision(False, "right-ended" if facts.ended else "no-right")


def test_decide_follows_the_order_when_given_any_facts() -> None:
    table = [Facts(**dict(zip(NAMES, values, strict=True))) for values in itertools.product((False, True), repeat=12)]
    assert len(table) == 2 ** len(NAMES) == 4096
    assert [decide(facts) for facts in table] == [expected(facts) for facts in table]
