"""`usher seed`."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from infra.api import Api
from infra.cli.session import api
from shared.ids import draw_short_id, new_secret


def seed(arguments: argparse.Namespace) -> int:
    """Register viewers with random names and passwords, and print them once."""
    nobody = Api(api("admin").origin)
    table = Table("username", "password", box=None)
    for _ in range(arguments.users):
        username, password = f"viewer-{draw_short_id(6)}", new_secret(9)
        body = {"username": username, "email": f"{username}@usher.example", "password": password}
        nobody.post("auth/register", body)
        table.add_row(username, password)
    Console(highlight=False).print(table)
    return 0
