"""The audit trail as values: entries with the names people know, what they are looked for by, and them as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from gateway.control.cells import safe
from gateway.control.paging import EVER, Cursor
from shared.errors import Invalid

#: Who acted where it was the installation itself: its set-up and its command line, its worker.
SYSTEM = frozenset({"system", "worker"})
#: The columns of an export, in this order.
COLUMNS = ("at", "actor", "actor_name", "action", "object", "object_name", "before", "after", "place")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was done. `place` is a network prefix, empty where nobody asked over the network.

    Only ids are kept; the names are those of today, empty for what is gone or has none.
    """

    id: str
    at: datetime
    actor: str
    actor_name: str
    action: str
    object: str
    object_name: str
    before: Any
    after: Any
    place: str

    @property
    def cursor(self) -> Cursor:
        """Where the page after this entry begins."""
        return Cursor(self.at, self.id)


class Trail(msgspec.Struct, frozen=True):
    """Entries, the newest first; `next` is the cursor of those before them, null at the end."""

    items: list[Entry]
    next: str | None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What entries are looked for by; None for any. From `since` on, and before `until`."""

    actor: str | None = None
    action: str | None = None
    object: str | None = None
    since: datetime = EVER[0]
    until: datetime = EVER[1]


class AuditRows(Protocol):
    """What the actions ask of storage."""

    async def page(self, wanted: Wanted, *, before: tuple[datetime, int], limit: int) -> list[Entry]: ...


class People(Protocol):
    """Finds accounts by name; accounts provides it."""

    async def principal_named(self, folded: str) -> str | None: ...


def place_of(cursor: Cursor) -> tuple[datetime, int]:
    """Before which moment and entry a page begins. Raises Invalid for a cursor of another listing."""
    if cursor.id and not (cursor.id.isascii() and cursor.id.isdigit() and len(cursor.id) <= 18):
        raise Invalid("This cursor is not one that a page gave; start again without it.")
    return cursor.at, int(cursor.id or 0)


def as_csv(entries: Sequence[Entry], *, head: bool) -> bytes:
    """Entries as lines of CSV (RFC 4180), below the names of the columns where `head`."""
    out = io.StringIO()
    lines = csv.writer(out)
    if head:
        lines.writerow(COLUMNS)
    lines.writerows([_cell(getattr(entry, name)) for name in COLUMNS] for entry in entries)
    return out.getvalue().encode()


def _cell(value: object) -> str:
    """A value as a spreadsheet shows it: what looks like a formula is kept from being one."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    return safe(value if isinstance(value, str) else msgspec.json.encode(value).decode())
