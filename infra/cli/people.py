"""`usher seed` and `usher login`."""

from __future__ import annotations

import argparse
import getpass
import os

from rich.console import Console
from rich.table import Table

from infra.api import Api
from infra.cli.session import api, home
from infra.stack.accounts import proof
from infra.stack.home import Credentials, Session
from shared.ids import draw_short_id, new_secret
from shared.settings import variable


def seed(arguments: argparse.Namespace) -> int:
    """Register viewers with random names and passwords, and print them once."""
    nobody = Api(api("admin").origin)
    table = Table("username", "password", box=None)
    for _ in range(arguments.users):
        username, password = f"viewer-{draw_short_id(6)}", new_secret(9)
        body = {"username": username, "email": f"{username}@usher.example", "password": password}
        nobody.post("auth/register", body | proof(nobody.get("auth/challenge")))
        table.add_row(username, password)
    Console(highlight=False).print(table)
    return 0


def login(arguments: argparse.Namespace) -> int:
    """Log in and keep the session for later commands."""
    kept = home().read_credentials()
    origin = os.environ.get(variable("origin")) or (kept.origin if kept else "http://127.0.0.1:8700")
    password = getpass.getpass(f"Password of {arguments.username}: ")
    body = {"login": arguments.username, "password": password, "bearer": True}
    session = Session(arguments.username, Api(origin).post("auth/login", body)["bearer_token"])
    home().make()
    sessions = (kept.sessions if kept else {}) | {arguments.role: session}
    home().write_credentials(Credentials(origin=origin, sessions=sessions))
    Console(highlight=False).print(f"Commands of a {arguments.role} act as {arguments.username} now.")
    return 0
