"""`usher recon run|show`: the books beside what payment providers say, compared by the worker of the running Usher."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import msgspec
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from infra.api import Api
from infra.cli.session import api
from shared.errors import NotFound
from shared.money import Money

#: Seconds between two looks at a run that is not through.
LOOK_S = 0.5


def run(arguments: argparse.Namespace) -> int:
    """Let the worker reconcile, wait for it, and print what differs; status 1 when anything does."""
    client = api("admin")
    until = _day(arguments.until) + timedelta(days=1) if arguments.until else None
    since = _day(arguments.since) if arguments.since else None
    asked = {"since": since and since.isoformat(), "until": until and until.isoformat()}
    report = client.post("reconciliations", asked)
    while report["state"] == "asked":
        time.sleep(LOOK_S)
        before, report = report, _read(client, report["id"])
        if report["words"] != before["words"] and report["state"] == "asked":
            sys.stderr.write(f"{report['words']} It is tried again.\n")
    return _print(report, as_json=arguments.json)


def show(arguments: argparse.Namespace) -> int:
    """A report with what differs, the newest without an id; status 1 when anything does."""
    client = api("admin")
    if arguments.all:
        return _list(client.get("reconciliations")["items"], as_json=arguments.json)
    id = arguments.report
    if not id:
        found = client.get("reconciliations")["items"]
        if not found:
            raise NotFound("There is no report yet: `usher recon run`.")
        id = found[0]["id"]
    return _print(_read(client, id), as_json=arguments.json)


def _read(client: Api, id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"reconciliations/{quote(id, safe='')}")
    return found


def _print(report: dict[str, Any], *, as_json: bool) -> int:
    status = 1 if report["differences"] or report["state"] != "done" else 0
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
        return status
    console = Console(highlight=False, soft_wrap=True)
    for kind, count in report["counts"].items():
        found = [one for one in report["differences"] if one["kind"] == kind]
        console.print(Text(f"{kind}: {count}", "bold"))
        console.print(Text(found[0]["words"] if found else ""))
        console.print(_table(found), Text())
    total = sum(report["counts"].values())
    looked = f"{report['charges']:,} payments, {report['purchases']:,} purchases, {report['postings']:,} postings"
    words = f"{total} difference{'s' if total != 1 else ''}." if report["state"] == "done" else _state(report)
    console.print(f"{report['id']}, {report['since'][:10]} to {report['until'][:16]}: {looked}: {words}")
    return status


def _table(differences: list[dict[str, Any]]) -> Table:
    right = (Column(name, justify="right") for name in ("booked", "the other says"))
    table = Table("rail", "reference", "purchase", *right, box=None)
    for one in differences:
        amounts = (_amount(one[side], one["currency"]) for side in ("ours", "theirs"))
        table.add_row(one["rail"], Text(one["ref"]), one["purchase"], *amounts)
    return table


def _amount(amount: int | str, currency: str) -> str:
    return str(Money(int(amount), currency)) if currency else ""


def _list(reports: list[dict[str, Any]], *, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(msgspec.json.encode(reports).decode() + "\n")
        return 0
    table = Table("report", "from", "to", "state", Column("differences", justify="right"), box=None)
    for one in reports:
        table.add_row(one["id"], one["since"][:16], one["until"][:16], one["state"], str(sum(one["counts"].values())))
    Console(highlight=False, soft_wrap=True).print(table)
    return 0


def _state(report: dict[str, Any]) -> str:
    return {"asked": "not through yet.", "failed": f"failed: {report['words']}"}[report["state"]]


def _day(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
