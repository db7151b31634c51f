"""Settings come from the environment, say what is wrong, and keep secrets out of logs."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from shared import log, settings
from shared.errors import Misconfigured
from shared.settings import ControlSettings, EdgeSettings, FarmSettings, load, redacted


def test_every_form_is_read() -> None:
    got = load(EdgeSettings, {"USHER_PRIVATE_PORT": "99", "USHER_SEAT_OPEN": "true", "USHER_HOME": "/somewhere"})
    assert (got.private_port, got.seat_open, got.home) == (99, True, Path("/somewhere"))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("USHER_PRIVATE_PORT", "99999"),
        ("USHER_SEAT_OPEN", "perhaps"),
        ("USHER_SEATS_POLICY", "maybe"),
        ("USHER_LOG_LEVEL", "loud"),
    ],
)
def test_bad_value_names_variable_value_and_meaning(variable: str, value: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        load(EdgeSettings, {variable: value})
    assert variable in str(caught.value)
    assert repr(value) in str(caught.value)
    assert settings.description(EdgeSettings, variable.removeprefix("USHER_").lower()) in str(caught.value)


@pytest.mark.parametrize("value", ["A" * 23, "1984", "FILMS*", "O'HARA", "<FILMS>", "FILMS\n", 'THE "FILMS"', "A\\B"])
def test_what_no_bank_statement_can_say_stops_the_start(value: str) -> None:
    with pytest.raises(Misconfigured, match="USHER_PAYMENT_DESCRIPTOR"):
        load(ControlSettings, {"USHER_PAYMENT_DESCRIPTOR": value})
    for good in ("", "FILMS 1984", "USHER-INC."):
        assert load(ControlSettings, {"USHER_PAYMENT_DESCRIPTOR": good}).payment_descriptor == good


@pytest.mark.parametrize("kind", [EdgeSettings, ControlSettings, FarmSettings])
def test_every_setting_is_documented(kind: type[settings.Common]) -> None:
    assert [name for name in kind.__struct_fields__ if not settings.description(kind, name)] == []


def test_secret_values_are_redacted() -> None:
    shown = redacted(load(ControlSettings, {"USHER_DATABASE_URL": "postgresql://u:hunter2@h/d"}))
    assert "hunter2" not in str(shown)
    assert shown["database_url"] == "(set)"


def test_start_log_holds_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    logger = log.set_up(load(ControlSettings, {"USHER_REDIS_URL": "redis://u:hunter2@h/0"}), "control")
    logger.info("oops", text="redis://u:hunter2@h/0 eyJhbGciOiJFUzI1NiJ9.eyJhIjoxfQ.c2ln")
    assert "hunter2" not in out.getvalue()
    assert "eyJ" not in out.getvalue()
    assert "(token)" in out.getvalue()
