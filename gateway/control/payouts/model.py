"""Payout runs as values: which withdrawals are paid together, and the list that somebody takes to the bank."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Protocol

import msgspec

from gateway.control.wallet.withdrawals import Withdrawal
from shared.money import Money

#: Withdrawals of one run, and runs of a page.
RUN, PAGE = 500, 50
#: Wait until a provider that did not answer, or has too little, is asked again: doubled each time.
FIRST_S, LAST_S = 60, 6 * 3600
#: Withdrawals that are due for so long and not paid are told as late.
LATE = timedelta(days=2)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Withdrawals by one rail in one currency that are paid together. `closed_at`: each is paid, or came back."""

    id: str
    rail: str
    currency: str
    by_hand: bool
    created_at: datetime
    closed_at: datetime | None = None
    count: int = 0
    amount: int | str = 0


class Runs(msgspec.Struct, frozen=True):
    """Runs, the newest first."""

    items: list[Run]


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A withdrawal of a run and whose it is."""

    id: str
    seller: str
    handle: str
    amount: int
    currency: str
    state: str
    reason: str
    rail_ref: str


class FullRun(Run, frozen=True, kw_only=True):
    """A run with its withdrawals."""

    items: list[Item]


class Group(msgspec.Struct, frozen=True):
    """A rail and a currency in which withdrawals are due."""

    rail: str
    currency: str


class PayoutRows(Protocol):
    """What the actions ask of storage."""

    async def due(self, now: datetime) -> list[Group]: ...
    async def owing(self, now: datetime, limit: int) -> list[str]: ...
    async def lock_due(self, group: Group, now: datetime, *, limit: int) -> list[Withdrawal]: ...
    async def open(self, run: Run, *, day: date) -> bool: ...
    async def join(self, run: str, withdrawals: Sequence[str], *, next_try_at: datetime | None) -> None: ...
    async def to_pay(self, now: datetime, limit: int) -> list[str]: ...
    async def put_off(self, id: str, until: datetime, *, refused: bool, reason: str) -> None: ...
    async def close(self, now: datetime) -> None: ...
    async def newest(self, limit: int) -> list[Run]: ...
    async def by_id(self, id: str) -> Run | None: ...
    async def items(self, run: str) -> list[Item]: ...
    async def late(self, before: datetime) -> int: ...


def wait_s(tries: int) -> int:
    """Seconds until a provider is asked again that could not pay so many times."""
    return min(FIRST_S << min(tries, 20), LAST_S)


def to_csv(items: Sequence[Item]) -> bytes:
    """The withdrawals of a run that are to be paid, one a line: what a person at the bank needs to know.

    Nothing in it is free text, so no spreadsheet takes a line for a formula.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("withdrawal", "seller", "handle", "amount", "currency", "state"))
    for item in items:
        amount = str(Money(item.amount, item.currency)).partition(" ")[0]
        writer.writerow((item.id, item.seller, item.handle, amount, item.currency, item.state))
    return text.getvalue().encode()
