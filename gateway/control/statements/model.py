"""Statements as values: what is read of the ledger, what a seller and pages are told of it, days and months; the port.

A flow is what postings of one kind did to one side, seen from a seller: what buyers paid, the platform's fee, what
other sellers got, the seller's own accounts, what a rail paid the seller at once. Of a movement they add up to zero.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Literal, Protocol

import msgspec

from gateway.control.sellers.model import Seller
from shared.errors import Invalid

Side = Literal["paid", "fee", "others", "own", "external"]
#: What a line of a statement adds to the balance; `external` takes off what the rail paid at once.
LineName = Literal[
    "sales",
    "refunds",
    "chargebacks",
    "chargebacks_won",
    "fees",
    "partner_shares",
    "shares",
    "external",
    "payouts",
    "other",
]
By = Literal["day", "title"]

#: Kinds of movements that sell or take back, and the line that tells the whole amount of each.
SOLD: dict[str, LineName] = {
    "sale": "sales",
    "refund": "refunds",
    "dispute": "chargebacks",
    "dispute-won": "chargebacks_won",
}
#: Kinds that move what a seller has in another way, and their lines. What a rail cannot take back stays there.
MOVED: dict[str, LineName] = {"payout": "payouts", "payout-returned": "payouts", "refund-owed": "external"}
LINES: tuple[LineName, ...] = (
    *SOLD.values(), "fees", "partner_shares", "shares", "external", "payouts", "other"
)  # fmt: skip
#: The accounts of a seller that a balance is made of, and what each is called in it.
STANDING = {
    "earnings_pending": "pending",
    "earnings": "available",
    "payout_in_transit": "in_transit",
    "receivable": "owed",
}
#: Days that are told at once, and titles.
MAX_DAYS, MAX_TITLES = 366, 1000
#: Days that are told where nothing else is asked.
DAYS = 30
_MONTH = re.compile(r"20\d\d-(?:0[1-9]|1[0-2])\Z")


class Period(msgspec.Struct, frozen=True):
    """From one moment until before another. `company`: the legal entity of postings that were stamped with none."""

    since: datetime
    until: datetime
    company: str


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """What movements of one kind did to one side. `txns` counts those that something was paid or given back by.

    `is_own`: the seller's own title, else one that they have a share in. `day`, `title`: where asked for.
    """

    legal_entity: str
    currency: str
    kind: str
    is_own: bool
    side: Side
    day: date | None = None
    title: str | None = None
    name: str | None = None
    txns: int
    amount: int


class AccountSum(msgspec.Struct, frozen=True, kw_only=True):
    """One account of a seller by legal entity: before the month, and at its end."""

    legal_entity: str
    currency: str
    kind: str
    opening: int
    closing: int


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """Sales of one day or title in one currency, less what was taken back then: gross = fee + others + net.

    `gross`: what buyers paid; `others`: what other sellers got of it; `net`: what this one got, also what a rail paid
    at once. `refunds` counts chargebacks too.
    """

    day: date | None
    title: str | None
    name: str | None
    currency: str
    purchases: int
    refunds: int
    gross: int | str
    fee: int | str
    others: int | str
    net: int | str


class Sales(msgspec.Struct, frozen=True):
    """Sales by day, the first day first, or by title, the largest first."""

    items: list[Sale]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What a balance is made of; `owed` is not above zero."""

    pending: int = 0
    available: int = 0
    in_transit: int = 0
    owed: int = 0

    @property
    def total(self) -> int:
        """The balance."""
        return self.pending + self.available + self.in_transit + self.owed


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a statement for one title, or for none; `count`: its purchases, refunds or chargebacks."""

    line: LineName
    title: str | None
    name: str | None
    count: int
    amount: int


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A statement's part for one legal entity and currency.

    The opening balance and all entries add up to the closing one.
    """

    legal_entity: str
    currency: str
    opening: Standing
    entries: list[Entry]
    closing: Standing

    @property
    def difference(self) -> int:
        """What the closing balance has that opening and entries do not bear out: 0, or the ledger is wrong."""
        return self.closing.total - self.opening.total - sum(entry.amount for entry in self.entries)

    def totals(self) -> list[Entry]:
        """The entries without their titles, in the order of `LINES`."""
        found: dict[LineName, Entry] = {}
        for entry in self.entries:
            one = found.get(entry.line)
            count, amount = (one.count, one.amount) if one else (0, 0)
            found[entry.line] = Entry(
                line=entry.line, title=None, name=None, count=count + entry.count, amount=amount + entry.amount
            )
        return [found[line] for line in LINES if line in found]


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A seller's month (UTC), `2026-11`. `is_final`: it is over, so that nothing is added any more."""

    seller: Seller
    month: str
    is_final: bool
    sections: list[Section]


class StandingView(msgspec.Struct, frozen=True, kw_only=True):
    """A balance and what it is made of."""

    total: int | str
    pending: int | str
    available: int | str
    in_transit: int | str
    owed: int | str


class LineView(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a statement, of all titles."""

    line: LineName
    count: int
    amount: int | str


class SectionView(msgspec.Struct, frozen=True, kw_only=True):
    """A statement's part for one legal entity and currency."""

    legal_entity: str
    currency: str
    opening: StandingView
    lines: list[LineView]
    closing: StandingView


class StatementView(msgspec.Struct, frozen=True, kw_only=True):
    """A seller's month as pages show it."""

    seller: str
    name: str
    month: str
    is_final: bool
    sections: list[SectionView]


class MonthView(msgspec.Struct, frozen=True, kw_only=True):
    """A month that has a statement."""

    month: str
    is_final: bool


class Months(msgspec.Struct, frozen=True):
    """The months of which there are statements, the newest first."""

    items: list[MonthView]


class SellerBooks(Protocol):
    """What the actions ask of storage."""

    async def freeze(self) -> datetime: ...
    async def flows(
        self, seller: str, period: Period, *, by_day: bool = False, by_title: bool = False
    ) -> list[Flow]: ...
    async def sums(self, seller: str, period: Period) -> list[AccountSum]: ...
    async def first(self, seller: str) -> datetime | None: ...


def bounds(month: str) -> tuple[datetime, datetime]:
    """The first moment of a month and of the next. Raises Invalid for what is no month of this century."""
    if not _MONTH.match(month):
        raise Invalid(f"{month!r:.20} is not a month; expected for example 2026-11.", code="month-unknown")
    since = datetime(int(month[:4]), int(month[5:]), 1, tzinfo=UTC)
    return since, (since + timedelta(days=31)).replace(day=1)


def span(since: str, until: str, today: date) -> tuple[datetime, datetime]:
    """The moments between which days lie, both of them included; the last thirty where none is named.

    Raises Invalid for what is no day, a last day before the first, and more than a year.
    """
    last = _day(until) if until else today
    first = _day(since) if since else last - timedelta(days=DAYS - 1)
    if not first <= last < first + timedelta(days=MAX_DAYS):
        raise Invalid(f"Ask for days in their order, and for {MAX_DAYS} at most.", code="span-unknown")
    return _midnight(first), _midnight(last) + timedelta(days=1)


def months(first: datetime | None, now: datetime) -> Months:
    """All months from the first posting's to this one."""
    found: list[MonthView] = []
    month = now.astimezone(UTC).replace(day=1)
    while first is not None and (month.year, month.month) >= (first.astimezone(UTC).year, first.astimezone(UTC).month):
        found.append(MonthView(month=f"{month:%Y-%m}", is_final=bool(found)))
        month = (month - timedelta(days=1)).replace(day=1)
    return Months(found)


def _day(text: str) -> date:
    try:
        if len(text) != 10:
            raise ValueError
        found = date.fromisoformat(text)
    except ValueError:
        found = date.min
    if not 2000 <= found.year < 2100:
        raise Invalid(f"{text!r:.20} is not a day; expected for example 2026-11-22.", code="day-unknown")
    return found


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
