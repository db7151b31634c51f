"""The farm's board, alerts and scalers: every question is of metrics there are, and is asked of a farm that works."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from infra.stack.plan import ROOT
from shared import metrics
from tests.support import pods, promql
from tests.support.pods import one

RULES = ROOT / "infra" / "prometheus" / "farm.rules.yaml"
BOARD = ROOT / "infra" / "grafana" / "farm.json"
#: What Grafana puts in the place of its variables.
VARIABLES = {"$__rate_interval": "1m", "$instance": ".*"}
#: What Prometheus itself says of a target.
OF_TARGET = {"instance", "job"}
#: What a metric of each kind is made of.
SERIES = {
    "counter": {"_total": set()},
    "gauge": {"": set()},
    "histogram": {"_bucket": {"le"}, "_sum": set(), "_count": set()},
}


def panels() -> list[dict[str, Any]]:
    return [panel for panel in msgspec.json.decode(BOARD.read_bytes())["panels"] if panel["type"] != "row"]


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def asked_by_board() -> list[str]:
    questions = [target["expr"] for panel in panels() for target in panel["targets"]]
    for name, value in VARIABLES.items():
        questions = [question.replace(name, value) for question in questions]
    return questions


def asked_by_alerts() -> list[str]:
    return [alert["expr"].strip() for alert in alerts()]


def asked_by_scalers(tools: Path) -> list[str]:
    parts = [pods.built(tools, "production", name) for name in ("farm-cpu", "farm-gpu")]
    return [one(part, "ScaledObject")["spec"]["triggers"][0]["metadata"]["query"] for part in parts]


def declared() -> dict[str, set[str]]:
    """Every series that shared/metrics.py declares, with its labels."""
    found: dict[str, set[str]] = {}
    for metric in vars(metrics).values():
        if hasattr(metric, "_documentation"):
            for suffix, more in SERIES[metric._type].items():
                found[metric._name + suffix] = {*metric._labelnames, *more} | OF_TARGET
    return found


def test_every_question_asks_for_declared_metrics_by_their_labels(tools: Path) -> None:
    known = declared()
    questions = [*asked_by_board(), *asked_by_alerts(), *asked_by_scalers(tools)]
    wrong = [
        f"{name} {matchers} by {asked.labels} of {question}"
        for question, asked in zip(questions, promql.read(tools, questions), strict=True)
        for name, matchers in asked.series
        if name not in known or not {label for label, _, _ in matchers} <= known[name]
    ]
    assert wrong == []
    grouped = {label for asked in promql.read(tools, questions) for label in asked.labels}
    assert grouped <= set().union(*known.values())


def test_every_farm_metric_is_on_the_board(tools: Path) -> None:
    shown = {name for asked in promql.read(tools, asked_by_board()) for name, _ in asked.series}
    told = {name for name in declared() if name.startswith("usher_farm_")}
    unseen = {name for name in told - shown if not name.endswith(("_sum", "_count"))}
    assert unseen == set()


def test_board_is_in_order() -> None:
    board = msgspec.json.decode(BOARD.read_bytes())
    places = [panel["gridPos"] for panel in board["panels"]]
    taken = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(taken) == len(set(taken)) and max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in board["panels"]}) == len(places)
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in panels())
    assert all(panel["title"] and panel["fieldConfig"]["defaults"]["unit"] for panel in panels())


def test_alerts_pass_promtool() -> None:
    found = shutil.which("promtool")
    if found is None:
        words = "there is no promtool: apt-get install prometheus"
        pytest.fail(words) if os.environ.get("CI") else pytest.skip(words)
    done = subprocess.run([str(found), "check", "rules", str(RULES)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
