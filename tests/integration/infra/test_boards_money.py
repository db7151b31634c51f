"""Alerts on money, and `usher recon`: a running worker reconciles, tells what differs, and the alert rings."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from infra.stack.plan import OFFSETS, PRIVATE_OFFSETS
from tests.integration.infra.test_boards_farm import declared
from tests.support import boards, promql
from tests.support.api import until
from tests.support.boards import alerts, asked_by_alerts, missing, promtool
from tests.support.postgres import ask
from tests.support.promql import Prometheus, prometheus
from tests.support.stack import Running, running_stack, usher

RULES = boards.RULES / "money.rules.yaml"
#: Told only where a provider pays sellers out.
OF_PAYERS = "usher_payouts_returned_total"
#: A day of sending, a value a minute: which alerts ring after so many minutes, and which do not.
DAYS: dict[str, tuple[dict[str, str], set[str]]] = {
    "all is sent": ({"webhooks taken": "0+9x400", "mail sent": "0+9x400", "mail failed": "0+1x400"}, set()),
    "one receiver is away": (
        {"webhooks taken": "0+9x400", "webhooks failed": "0+1x400", "webhooks dead": "0x200 1x200"},
        {"WebhooksDead"},
    ),
    "nobody takes webhooks": (
        {"webhooks taken": "7x400", "webhooks failed": "0+1x400", "webhooks waiting": "0x60 2000x340"},
        {"WebhooksNotTaken", "WebhooksWaiting"},
    ),
    "the mail server is away": (
        {"mail sent": "7x400", "mail failed": "0+1x400", "mail waiting": "0+1x400"},
        {"MailNotSent", "MailWaiting"},
    ),
    "an address does not exist": ({"mail sent": "0+9x400", "mail dead": "0x380 1x20"}, {"MailDead"}),
}
#: Five cents that nobody posted.
STRAY = """
insert into ledger_account (code, asset, kind, cached, side, balance)
values ('wallet:usr_1', 'USD', 'wallet', true, 'credit', 5) returning id
"""


class Night:
    """A worker that reconciles, a Prometheus that looks on, and what `usher recon` said."""

    def __init__(self, running: Running, asked: Prometheus | None) -> None:
        self.running, self.asked = running, asked
        base = running.ports["control"] - OFFSETS["control"]
        self.port = base + PRIVATE_OFFSETS["worker"]
        self.said: dict[str, subprocess.CompletedProcess[str]] = {}

    def scrape(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
            return str(answer.read().decode())

    def say(self, name: str, *arguments: str) -> None:
        self.said[name] = usher(self.running, "recon", *arguments)

    def live(self) -> None:
        """Reconciliation is off, then on and sound, then somebody writes past the ledger."""
        self.say("off", "run")
        assert usher(self.running, "flag", "set", "recon.enabled", "on").returncode == 0
        asyncio.run(until(self._is_on, within_s=60, what="the flag is seen"))
        self.say("sound", "run")
        asyncio.run(ask(self.running.database_url, STRAY))
        self.say("wrong", "run", "--json")
        asyncio.run(until(self._told, within_s=60, what="the worker tells the difference"))
        self.say("shown", "show")
        self.say("all", "show", "--all")

    async def _is_on(self) -> bool | None:
        return True if "switched off" not in usher(self.running, "recon", "run").stderr else None

    async def _told(self) -> bool | None:
        return 'usher_recon_differences{kind="ledger"} 1.0' in self.scrape() or None


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """Control and worker, without a farm."""
    folder, found = tmp_path_factory.mktemp("money"), shutil.which("prometheus")
    only = ["--only", "postgres,valkey,control,worker"]
    with running_stack(folder, demo=False, arguments=only) as running, contextlib.ExitStack() as stack:
        made = Night(running, None)
        if found is not None:
            (folder / "prometheus").mkdir()
            seen = prometheus(found, folder / "prometheus", targets={"worker": made.port}, rules=RULES)
            made.asked = stack.enter_context(seen)
            made.asked.until("usher_recon_differences")
        made.live()
        if made.asked is not None:
            made.asked.until('ALERTS{alertname="ReconDifferences", alertstate="firing"}')
        yield made


def test_command_says_that_it_is_off_then_that_all_is_sound(night: Night) -> None:
    assert night.said["off"].returncode == 1 and "usher flag set recon.enabled on" in night.said["off"].stderr
    sound = night.said["sound"]
    assert (sound.returncode, sound.stdout.splitlines()[-1].endswith("postings: 0 differences.")) == (0, True)


def test_command_says_what_differs_and_fails(night: Night) -> None:
    wrong = night.said["wrong"]
    report = msgspec.json.decode(wrong.stdout)
    assert (wrong.returncode, report["counts"]) == (1, {"ledger": 1})
    [found] = report["differences"]
    assert (found["ref"], found["ours"], found["theirs"]) == ("balance wallet:usr_1", 5, 0)
    shown = night.said["shown"]
    assert shown.returncode == 1 and "usher ledger audit" in shown.stdout
    assert ["balance", "wallet:usr_1", "0.05", "USD", "0.00", "USD"] in [
        line.split() for line in shown.stdout.split("\n")
    ]
    listed = night.said["all"]
    assert listed.returncode == 0 and listed.stdout.count("rec_") >= 2


def test_every_question_asks_for_declared_metrics_and_what_the_worker_tells(night: Night, tools: Any) -> None:
    names, known = declared(), promql.samples(night.scrape(), instance="127.0.0.1", job="worker")
    asked = promql.read(tools, asked_by_alerts(RULES))
    series = [one for each in asked for one in each.series]
    assert [name for name, _ in series if name not in names] == []
    silent = [name for name, matchers in series if not promql.selects(known, name, matchers) and name != OF_PAYERS]
    assert silent == []
    assert all(set(each.labels) <= names[name] for each in asked for name, _ in each.series)


def test_alert_rings_in_prometheus(night: Night) -> None:
    asked = night.asked
    if asked is None:
        missing("Prometheus")
    rules = {rule["name"]: rule for rule in asked.rules()}
    assert {name for name, rule in rules.items() if rule["health"] != "ok"} == set()
    assert rules.keys() == {alert["alert"] for alert in alerts(RULES)}
    assert {name for name, rule in rules.items() if rule["state"] == "firing"} == {"ReconDifferences"}


def test_alerts_on_webhooks_and_mail_ring_when_these_fail_and_only_then(tmp_path: Path) -> None:
    told = [alert["alert"] for alert in alerts(RULES) if alert["alert"].startswith(("Webhooks", "Mail"))]
    days = [
        {
            "name": name,
            "interval": "1m",
            "input_series": [{"series": series(one), "values": values} for one, values in given.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)',
                    "eval_time": "395m",
                    "exp_samples": [{"labels": "{}", "value": int(alert in ringing)}],
                }
                for alert in told
            ],
        }
        for name, (given, ringing) in DAYS.items()
    ]
    (tmp_path / "days.yaml").write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": days}))
    assert set(told) == set().union(*(ringing for _, ringing in DAYS.values()))
    promtool("test", "rules", str(tmp_path / "days.yaml"))


def series(what: str) -> str:
    """`webhooks dead` as the worker tells it."""
    name, _, outcome = what.partition(" ")
    if outcome == "waiting":
        return f"usher_{name}_waiting"
    return f'usher_{name}_total{{outcome="{outcome}"}}'
