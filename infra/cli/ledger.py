"""`usher ledger audit|show`: the books, read from the database itself, whether control runs or not."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from gateway.control.ledger import actions
from gateway.control.ledger.model import Audit, Balance, Page, Posting, Txn
from infra.cli.database import opened
from shared.errors import NotFound
from shared.money import Money, to_json


class Statement(msgspec.Struct, frozen=True):
    """An account: what it holds of each asset, and a page of what was booked on it in each."""

    balances: list[Balance]
    pages: dict[str, Page]


def audit(arguments: argparse.Namespace) -> int:
    """Derive every balance anew and print what differs; status 1 when anything does."""
    found = asyncio.run(_audit())
    if arguments.json:
        _write(found)
        return 1 if found.differences else 0
    console = Console(highlight=False, soft_wrap=True)
    if found.differences:
        table = Table("what", "where", *_right("kept", "postings say", "off by"), box=None)
        for one in found.differences:
            amounts = (one.kept, one.derived, one.kept - one.derived)
            table.add_row(one.what, Text(one.where), *(str(Money(amount, one.asset)) for amount in amounts))
        console.print(table)
    counts = f"{found.accounts:,} accounts, {found.txns:,} movements, {found.postings:,} postings"
    console.print(f"{counts}: {len(found.differences)} difference{'s' if len(found.differences) != 1 else ''}.")
    return 1 if found.differences else 0


def show_txn(arguments: argparse.Namespace) -> int:
    """One movement with its postings."""
    found = asyncio.run(_txn(arguments.txn))
    if arguments.json:
        _write(found)
        return 0
    head = Table(show_header=False, box=None)
    reverses = "" if found.reverses is None else str(found.reverses)
    stamps = msgspec.to_builtins(found.postings[0].stamps) if found.postings else {}
    for label, value in (
        *(("txn", str(found.id)), ("key", found.key), ("kind", found.kind), ("at", f"{found.at:%Y-%m-%d %H:%M:%S %Z}")),
        *(("reverses", reverses), *((name.replace("_", " "), str(value)) for name, value in stamps.items())),
    ):
        if value:
            head.add_row(f"[bold]{label}", Text(value))
    table = Table("account", *_right("amount"), box=None)
    for posting in found.postings:
        table.add_row(Text(posting.account), str(Money(posting.amount, posting.asset)))
    Console(highlight=False, soft_wrap=True).print(head, Text(), table)
    return 0


def show_account(arguments: argparse.Namespace) -> int:
    """What an account holds, and what was booked on it, the newest first."""
    found = asyncio.run(_account(arguments))
    if arguments.json:
        _write(found)
        return 0
    console = Console(highlight=False, soft_wrap=True)
    for one in found.balances:
        page = found.pages[one.asset]
        held = f", {Money(one.held, one.asset)} of it held" if one.held else ""
        console.print(Text(f"{one.account}: {Money(one.balance, one.asset)}{held}", "bold"))
        console.print(_postings(page.items))
        if page.next is not None:
            console.print(f"… and more: --asset {one.asset} --before {page.next}")
    return 0


def _postings(items: list[Posting]) -> Table:
    table = Table(*_right("txn"), "kind", "at", *_right("amount"), "scope", box=None)
    for one in items:
        amount = str(Money(one.amount, one.asset))
        table.add_row(str(one.txn), one.kind, f"{one.at:%Y-%m-%d %H:%M:%S}", amount, Text(one.stamps.scope or ""))
    return table


async def _audit() -> Audit:
    async with opened("ledger") as begin:
        return await actions.audit(begin=begin)


async def _txn(ref: str) -> Txn:
    async with opened("ledger") as begin, begin() as unit:
        return await actions.show(ref, ledger=unit.ledger)


async def _account(arguments: argparse.Namespace) -> Statement:
    async with opened("ledger") as begin, begin() as unit:
        found = await actions.balances(arguments.account, ledger=unit.ledger)
        balances = [one for one in found if arguments.asset in ("", one.asset)]
        if not balances:
            raise NotFound(f"Nothing was ever booked on {arguments.account} in {arguments.asset}.")
        pages = {
            one.asset: await actions.history(one, ledger=unit.ledger, before=arguments.before, limit=arguments.count)
            for one in balances
        }
    return Statement(balances, pages)


def _write(found: Audit | Txn | Statement) -> None:
    """One line of JSON on stdout."""
    sys.stdout.write(msgspec.json.encode(_plain(msgspec.to_builtins(found))).decode() + "\n")


def _plain(value: Any) -> Any:
    """With amounts as JSON bears them."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return to_json(value) if type(value) is int else value


def _right(*names: str) -> list[Column]:
    return [Column(name, justify="right") for name in names]
