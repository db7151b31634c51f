"""`usher title add|ls|show`."""

from __future__ import annotations

import argparse
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TransferSpeedColumn
from rich.table import Column, Table

from infra.api import Api
from infra.cli.session import api
from infra.stack.demo import kind_of
from shared.errors import Conflict, Misconfigured
from shared.money import Money, parse

POLL_S = 0.5


def add(arguments: argparse.Namespace) -> int:
    """Make the title, upload the master, and publish it when asked to."""
    if not arguments.file.is_file():
        raise Misconfigured(f"{arguments.file}: there is no such file.")
    client = api("seller")
    price = parse(arguments.price, client.get("portal")["currency"])
    body = {
        "seller": arguments.seller or first_seller(client),
        "name": arguments.title,
        "kind": kind_of(arguments.file),
        "price_minor": price.amount_minor,
        "currency": price.currency,
    }
    title = client.post("titles", body)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns) as progress:
        sent = progress.add_task("uploading", total=arguments.file.stat().st_size)
        metadata = {"title": title["id"], "filename": arguments.file.name}
        client.upload(arguments.file, metadata, moved=lambda offset: progress.update(sent, completed=offset))
    if arguments.publish:
        publish(client, title["id"])
    return _show(client, title["id"])


def first_seller(client: Api) -> str:
    """The handle of the account's first seller."""
    sellers = client.get("me")["sellers"]
    if not sellers:
        raise Conflict("This account sells nothing yet: become a seller in the studio, or name one with --seller.")
    return str(sellers[0]["handle"])


def publish(client: Api, title: str) -> None:
    """Wait for the farm with a bar, then publish."""
    with Progress(TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()) as progress:
        bar = progress.add_task("transcoding", total=1.0)
        while client.get(f"titles/{title}")["state"] in ("draft", "processing"):
            job: dict[str, Any] = next(iter(client.get(f"titles/{title}/jobs")["items"]), {})
            if job.get("state") in ("failed", "cancelled"):
                raise Conflict(f"The title could not be made: {job['last_error']}")
            progress.update(bar, completed=job.get("progress", 0.0))
            time.sleep(POLL_S)
        progress.update(bar, completed=1.0)
    client.post(f"titles/{title}/publish")


def ls(_: argparse.Namespace) -> int:
    """Titles of the account's first seller, the newest first."""
    client = api("seller")
    table = Table(Column("id", no_wrap=True), Column("short", no_wrap=True), "name", "state", "price", box=None)
    cursor = ""
    while True:
        page = client.get(f"studio/titles?seller={first_seller(client)}" + (f"&cursor={cursor}" if cursor else ""))
        for title in page["items"]:
            table.add_row(title["id"], title["short_id"], title["name"], title["state"], _price(title))
        if not (cursor := page.get("next") or ""):
            break
    Console(highlight=False).print(table)
    return 0


def show(arguments: argparse.Namespace) -> int:
    """One title and its jobs."""
    return _show(api("seller"), arguments.title)


def _show(client: Api, identity: str) -> int:
    title = client.get(f"titles/{identity}")
    table = Table(show_header=False, box=None)
    for label, value in (
        *(("id", title["id"]), ("name", title["name"]), ("state", title["state"]), ("price", _price(title))),
        *(("watch", title["watch_url"]), ("ceilings", ", ".join(title.get("ceilings") or ()))),
    ):
        table.add_row(f"[bold]{label}", str(value))
    for job in client.get(f"titles/{title['id']}/jobs")["items"]:
        error = f" ({job['last_error']})" if job.get("last_error") else ""
        table.add_row("[bold]job", f"{job['state']} {job['progress']:.0%}{error}")
    Console(highlight=False, soft_wrap=True).print(table)
    return 0


def _price(title: dict[str, Any]) -> str:
    price = Money(int(title["price_minor"]), title["currency"])
    return str(price) if price.amount_minor else "free"
