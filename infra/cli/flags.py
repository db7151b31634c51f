"""`usher flag ls|set`."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from infra.cli.session import api


def ls(_: argparse.Namespace) -> int:
    """All flags."""
    answer = api("admin").get("flags")
    table = Table("flag", "state", box=None)
    for flag in answer["items"] if isinstance(answer, dict) else answer:
        table.add_row(flag["name"], f"on for {flag['percent']} %" if flag["enabled"] else "off")
    Console().print(table)
    return 0


def put(arguments: argparse.Namespace) -> int:
    """Switch one flag; seen everywhere within two seconds."""
    body = {"enabled": arguments.state == "on", "percent": arguments.percent}
    api("admin").call("PUT", f"flags/{arguments.name}", body)
    Console().print(f"{arguments.name} is {arguments.state}.")
    return 0
