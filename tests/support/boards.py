"""Boards and alerts as they lie in the repository: what they show and ask, and what Prometheus' judge says of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import pytest
import yaml

from infra.stack.plan import ROOT
from tests.support import promql

BOARDS, RULES = ROOT / "infra" / "grafana", ROOT / "infra" / "prometheus"
#: What Grafana puts in the place of its variables.
VARIABLES = {"$__rate_interval": "1m", "$instance": ".*"}


def panels(board: Path) -> list[dict[str, Any]]:
    """The panels of a board, without the rows they stand in."""
    return [panel for panel in msgspec.json.decode(board.read_bytes())["panels"] if panel["type"] != "row"]


def alerts(rules: Path) -> list[dict[str, Any]]:
    """The alerts of a file."""
    return [rule for group in yaml.safe_load(rules.read_text())["groups"] for rule in group["rules"]]


def asked_by_board(board: Path) -> list[str]:
    """What the panels ask, once Grafana has filled in its variables."""
    questions = [target["expr"] for panel in panels(board) for target in panel["targets"]]
    for name, value in VARIABLES.items():
        questions = [question.replace(name, value) for question in questions]
    return questions


def asked_by_alerts(rules: Path) -> list[str]:
    """What the alerts look at; of `absent(x)` that is x."""
    return [re.sub(r"^absent\((.*)\)$", r"\1", promql.numbers(alert["expr"].strip())) for alert in alerts(rules)]


def missing(program: str) -> NoReturn:
    """In CI Prometheus' programs must be there; elsewhere their absence is said."""
    words = f"there is no {program}: apt-get install prometheus"
    pytest.fail(words) if os.environ.get("CI") else pytest.skip(words)


def promtool(*arguments: str) -> None:
    """Prometheus' own judge; what it does not like fails the test."""
    found = shutil.which("promtool")
    if found is None:
        missing("promtool")
    done = subprocess.run([found, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
