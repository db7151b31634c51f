"""`usher webhooks list|dead|replay`: endpoints and what was given up, read from the database itself."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from gateway.control.webhooks import actions
from gateway.control.webhooks.model import Delivery, Standing
from infra.cli.database import opened
from shared.clock import SystemClock
from shared.errors import UsherError

WHAT = "webhooks"


def show(arguments: argparse.Namespace) -> int:
    """All endpoints: whose, where, how they stand."""
    found = asyncio.run(_standings())
    if arguments.json:
        return _write(found)
    table = Table("endpoint", "seller", "address", "state", *_right("waiting", "dead"), box=None)
    for one in found:
        counts = (str(one.waiting), str(one.dead))
        table.add_row(one.id, one.seller or "platform", Text(one.url), Text(_state(one)), *counts)
    Console(highlight=False, soft_wrap=True).print(table)
    return 0


def dead(arguments: argparse.Namespace) -> int:
    """Deliveries that were given up, of all endpoints or of one, the newest first."""
    found = asyncio.run(_dead(arguments.endpoint, arguments.count))
    if arguments.json:
        return _write(found)
    table = Table("delivery", "endpoint", "type", "since", *_right("tries"), "why", box=None)
    for one in found:
        row = (one.id, one.endpoint, one.type, f"{one.created_at:%Y-%m-%d %H:%M:%S}", str(one.attempts))
        table.add_row(*row, Text(one.words))
    Console(highlight=False, soft_wrap=True).print(table)
    return 0


def replay(arguments: argparse.Namespace) -> int:
    """Send deliveries again under their ids; status 1 when one of them cannot be."""
    if not arguments.delivery and not arguments.endpoint:
        sys.stderr.write("Name deliveries, or an endpoint with --endpoint.\n")
        return 2
    refused = asyncio.run(_replay(arguments))
    for id, words in refused:
        sys.stderr.write(f"{id}: {words}\n")
    return 1 if refused else 0


async def _standings() -> list[Standing]:
    async with opened(WHAT) as begin, begin() as unit:
        return await actions.standings(webhooks=unit.webhooks)


async def _dead(endpoint: str, count: int) -> list[Delivery]:
    async with opened(WHAT) as begin, begin() as unit:
        return await actions.dead(endpoint, count, webhooks=unit.webhooks)


async def _replay(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    refused, clock = [], SystemClock()
    async with opened(WHAT) as begin:
        async with begin() as unit:
            ids = list(arguments.delivery)
            if arguments.endpoint:
                ids += [
                    one.id for one in await actions.dead(arguments.endpoint, arguments.count, webhooks=unit.webhooks)
                ]
        for id in ids:
            try:
                async with begin() as unit:
                    sent = await actions.replay(id, unit=unit, clock=clock)
                sys.stdout.write(f"{sent.id} is sent again to {sent.endpoint}\n")
            except UsherError as error:
                refused.append((id, str(error)))
    return refused


def _state(one: Standing) -> str:
    if not one.active:
        return f"off. {one.words}".strip()
    return f"failing since {one.failing_since:%Y-%m-%d %H:%M}" if one.failing_since else "on"


def _write(found: Any) -> int:
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    return 0


def _right(*names: str) -> list[Column]:
    return [Column(name, justify="right") for name in names]
