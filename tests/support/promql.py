"""PromQL: what a question asks of a scrape, by a parser's tree, and a real Prometheus where there is one."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from infra.stack.child import own_session
from tests.support.ports import free_port

#: Runs in the tools' own interpreter: reads questions, writes what each selects and groups by.
_READER = """
import json, sys, promql_parser as p
OPS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
def walk(node, found):
    if isinstance(node, p.VectorSelector):
        matchers = [[m.name, OPS[str(m.op).split(".")[-1]], m.value] for m in node.matchers.matchers]
        found["series"].append([node.name, matchers])
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        inner = getattr(node, name, None)
        if inner is not None:
            walk(inner, found)
    for inner in getattr(node, "args", None) or []:
        walk(inner, found)
    modifier = getattr(node, "modifier", None)
    labels = getattr(modifier, "labels", None)
    found["labels"] += list(labels or []) if isinstance(node, p.AggregateExpr) else []
    return found
json.dump([walk(p.parse(text), {"series": [], "labels": []}) for text in json.load(sys.stdin)], sys.stdout)
"""
#: A comparison that makes an alert of a number, outside of braces.
_THRESHOLD = re.compile(r"\s(?:>=?|<=?|==)\s*[\d.]+")


class Asked(msgspec.Struct, frozen=True):
    """The series a question selects, each a name and matchers, and the labels it groups by."""

    series: list[tuple[str, list[tuple[str, str, str]]]]
    labels: list[str]


def read(tools: Path, questions: Sequence[str]) -> list[Asked]:
    """Parse. Fails for what is no PromQL."""
    command = [str(tools / "python"), "-c", _READER]
    done = subprocess.run(command, input=msgspec.json.encode(questions), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout, type=list[Asked])


def numbers(alert: str) -> str:
    """An alert's question without its thresholds: what it looks at, whether it rings or not."""
    return _THRESHOLD.sub(" ", alert)


def samples(scrape: str, **target: str) -> list[tuple[str, dict[str, str]]]:
    """Names and labels of a scrape, as Prometheus keeps them."""
    families = text_string_to_metric_families(scrape)
    return [(sample.name, sample.labels | target) for family in families for sample in family.samples]


def selects(known: Iterable[tuple[str, dict[str, str]]], name: str, matchers: list[tuple[str, str, str]]) -> bool:
    """Whether some series has the name, has every label that is asked for, and passes."""
    return any(
        one == name and all(label in labels and _passes(labels[label], how, value) for label, how, value in matchers)
        for one, labels in known
    )


def _passes(value: str, how: str, wanted: str) -> bool:
    is_met = re.fullmatch(wanted, value) is not None if how in ("=~", "!~") else value == wanted
    return is_met is not how.startswith("!")


class Prometheus:
    """One server that scrapes its targets each second."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, question: str) -> list[dict[str, Any]]:
        """The vector a question has for an answer now. Fails for what it refuses."""
        query = urllib.parse.urlencode({"query": question})
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/query?{query}", timeout=60) as answer:
            found: list[dict[str, Any]] = msgspec.json.decode(answer.read())["data"]["result"]
            return found

    def until(self, question: str, *, within_s: float = 60.0) -> None:
        """Wait until a question has an answer."""
        deadline = time.monotonic() + within_s
        while True:
            with contextlib.suppress(OSError):
                if self.ask(question):
                    return
            assert time.monotonic() < deadline, question
            time.sleep(0.1)

    def rules(self) -> list[dict[str, Any]]:
        """The alerts it evaluates, with their state and health."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/rules", timeout=60) as answer:
            groups = msgspec.json.decode(answer.read())["data"]["groups"]
            return [rule for group in groups for rule in group["rules"]]


@contextlib.contextmanager
def prometheus(binary: str, folder: Path, *, targets: Mapping[str, int], rules: Path) -> Iterator[Prometheus]:
    """A server with its data in `folder`, on private ports by job, evaluating `rules`."""
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "250ms"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
            for job, target in targets.items()
        ],
    }
    # JSON is YAML.
    (folder / "prometheus.yml").write_bytes(msgspec.json.encode(config))
    options = ["--config.file=prometheus.yml", f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.path=data"]
    with (folder / "prometheus.log").open("wb") as log:
        child = subprocess.Popen(
            [binary, *options],
            cwd=folder,
            stdout=log,
            stderr=log,
            preexec_fn=own_session(os.getpid(), signal.SIGKILL),
        )
    try:
        yield Prometheus(port)
    finally:
        child.kill()
        child.wait()
