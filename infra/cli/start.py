"""`usher run` and `usher migrate`."""

from __future__ import annotations

import argparse
import asyncio
import os

from rich.console import Console
from rich.table import Table

from infra import migrate as migrations
from infra import reference
from infra.cli.session import database_url, home
from infra.stack import postgres
from infra.stack.run import Options, Ready, say
from infra.stack.run import run as run_stack
from shared.errors import Misconfigured

NO_DATABASE = "The database does not answer: start `make run`, or set USHER_DATABASE_URL."


def run(arguments: argparse.Namespace) -> int:
    """Start everything; ends by Ctrl-C."""
    if arguments.master and not arguments.master.is_file():
        raise Misconfigured(f"MASTER is {arguments.master}: there is no such file.")
    options = Options(
        home=home().folder,
        environ=dict(os.environ),
        parts=tuple(part.strip() for part in arguments.only.split(",") if part.strip()),
        ready_file=arguments.ready_file,
        people=not arguments.no_accounts,
        demo=not arguments.no_demo,
        master=arguments.master,
    )
    return asyncio.run(run_stack(options, say=say, show=show))


def show(ready: Ready) -> None:
    """The one table."""
    table = Table(title="Usher is running", title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    words = {"watch": "Watch", "browse": "Browse", "studio": "Studio", "docs": "API docs"}
    for name, label in words.items():
        if name in ready.addresses:
            table.add_row(f"[bold]{label}", ready.addresses[name])
    table.add_row("[bold]Logs", ready.log_dir)
    for role, account in ready.accounts.items():
        password = account.password or "[dim]password shown at the first start"
        table.add_row(f"[bold]{role.capitalize()}", f"{account.username}  {password}")
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    if any(account.password for account in ready.accounts.values()):
        console.print("[dim]These passwords are shown once and stored nowhere. Ctrl-C stops everything.")


def migrate(_: argparse.Namespace) -> int:
    """Migrate USHER_DATABASE_URL, or the database of the running Usher."""
    applied = asyncio.run(migrated(database_url()))
    Console().print("\n".join(f"applied {name}" for name in applied) or "The schema is the newest already.")
    return 0


async def migrated(url: str) -> list[str]:
    """Migrate; the names applied. Raises Misconfigured when the database does not answer."""
    try:
        connection = await postgres.connect(url, within_s=3)
    except OSError as error:
        raise Misconfigured(NO_DATABASE) from error
    try:
        return await migrations.migrate(connection)
    finally:
        await connection.close()


def docs(_: argparse.Namespace) -> int:
    """Rewrite the pages of docs/ that are made from the code."""
    Console(highlight=False).print("\n".join(f"wrote {name}" for name in reference.write()) or "All pages are current.")
    return 0
