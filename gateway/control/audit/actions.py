"""What is done with the audit trail: look at a page of it, and take all of it away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from gateway.control.accounts.model import fold
from gateway.control.audit.model import SYSTEM, AuditRows, Entry, People, Wanted, as_csv, place_of
from gateway.control.auth import Principal, require
from gateway.control.db import Begin
from gateway.control.outbox import Outbox
from gateway.control.paging import Cursor, before
from shared.ids import is_id

#: Entries that an export reads at once, and that it holds at most: who wants more asks for less time.
AT_ONCE, AT_MOST = 1000, 200_000


class Stores(Protocol):
    """One transaction."""

    @property
    def audit(self) -> AuditRows: ...


async def asked(wanted: Wanted, *, by: Principal, people: People) -> Wanted:
    """What is looked for, its actor by id; a name that nobody has finds nothing. Raises Forbidden."""
    require(by, "audit:read")
    if wanted.actor is None or wanted.actor in SYSTEM or is_id(wanted.actor, "usr"):
        return wanted
    return msgspec.structs.replace(wanted, actor=await people.principal_named(fold(wanted.actor)) or "")


async def page(
    wanted: Wanted, *, after: Cursor | None, limit: int, audit: AuditRows
) -> tuple[list[Entry], Cursor | None]:
    """A page of what `asked` gave, the newest first, and where the next one starts. Raises Invalid."""
    found = await audit.page(wanted, before=place_of(before(after, wanted.until)), limit=limit + 1)
    return found[:limit], found[limit - 1].cursor if len(found) > limit else None


async def taken(wanted: Wanted, *, by: Principal, place: str, outbox: Outbox) -> None:
    """Record that all of this is taken away."""
    said = {name: value for name, value in msgspec.to_builtins(wanted).items() if value is not None}
    await outbox.record(by.id, "audit:export", "audit", after=said, place=place)


async def export(wanted: Wanted, *, begin: Begin[Stores]) -> AsyncIterator[bytes]:
    """What `asked` gave as CSV, the newest first, piece by piece, each read in a transaction of its own."""
    after: Cursor | None = None
    for number in range(AT_MOST // AT_ONCE):
        async with begin() as unit:
            entries, after = await page(wanted, after=after, limit=AT_ONCE, audit=unit.audit)
        yield as_csv(entries, head=number == 0)
        if after is None:
            return
