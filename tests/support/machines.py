"""Machines of hypothesis that act on real parts, in a short form that is always the same and a long one."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

IS_LONG = int(os.environ.get("USHER_CHAOS_ROUNDS", "1")) > 1


def run_machine(machine: type[RuleBasedStateMachine], *, examples: int, steps: int, **parts: object) -> None:
    """Run a machine that has `parts` as its attributes; fails with the shortest way to what is wrong."""
    checks = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=not IS_LONG,  # the long form looks elsewhere each time
        suppress_health_check=list(HealthCheck),
    )
    bound = type("Bound", (machine,), parts)
    run_state_machine_as_test(bound, settings=checks)
