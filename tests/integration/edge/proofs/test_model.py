"""The seat script does what a model of it does, in any order of takes, pauses, ends, revocations and losses."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.seat_model import SeatModel
from tests.support.valkey import Valkey

WALKS = settings(
    max_examples=50, stateful_step_count=30, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


def test_the_script_and_its_model_agree(valkey_server: Valkey) -> None:
    class Walk(SeatModel):
        url = valkey_server.url

    run_state_machine_as_test(Walk, settings=WALKS)
