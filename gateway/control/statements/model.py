"""A seller's sales and monthly statement, added up from what was posted. Pure.

A flow is what postings of one kind did to one side, seen from a seller: what buyers paid, the platform's fee, what
other sellers got, the seller's own accounts, what a rail paid the seller at once. Of a movement they add up to zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Literal, Protocol

import msgspec

from gateway.control.sellers.model import Seller
from shared.errors import Invalid
from shared.money import to_json

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
    """A statement's part for one legal entity (empty where none was stamped) and currency.

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
    """A statement's part for one legal entity (empty where none was stamped) and currency."""

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
        self, seller: str, since: datetime, until: datetime, *, by_day: bool = False, by_title: bool = False
    ) -> list[Flow]: ...
    async def sums(self, seller: str, since: datetime, until: datetime) -> list[AccountSum]: ...
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


def sales(flows: Iterable[Flow], by: By) -> Sales:
    """Sales by day or title, from flows that were asked for by that."""
    found: dict[tuple[date | None, str | None, str], list[Flow]] = {}
    for flow in flows:
        if flow.kind in SOLD:
            found.setdefault((flow.day, flow.title, flow.currency), []).append(flow)
    items = [(_sum(some, "paid"), _sale(some)) for some in found.values() if any(flow.amount for flow in some)]
    if by == "title":
        items = sorted(items, key=lambda item: (item[0], item[1].title or ""))[:MAX_TITLES]
    else:
        items.sort(key=lambda item: (item[1].day or date.min, item[1].currency))
    return Sales([item for _, item in items])


def statement(
    seller: Seller, month: str, *, now: datetime, flows: Iterable[Flow], sums: Iterable[AccountSum]
) -> Statement:
    """A seller's month, from flows by title and the sums of the seller's accounts at one moment."""
    entries: dict[tuple[str, str], list[Flow]] = {}
    accounts: dict[tuple[str, str], list[AccountSum]] = {}
    for flow in flows:
        entries.setdefault((flow.legal_entity, flow.currency), []).append(flow)
    for one in sums:
        accounts.setdefault((one.legal_entity, one.currency), []).append(one)
    sections = [
        Section(
            legal_entity=entity,
            currency=currency,
            opening=_standing(accounts.get((entity, currency), []), "opening"),
            entries=_entries(entries.get((entity, currency), [])),
            closing=_standing(accounts.get((entity, currency), []), "closing"),
        )
        for entity, currency in sorted({*entries, *accounts})
    ]
    told = [one for one in sections if one.entries or one.opening != Standing() or one.closing != Standing()]
    return Statement(seller=seller, month=month, is_final=now >= bounds(month)[1], sections=told)


def view(made: Statement) -> StatementView:
    """A statement as pages show it."""
    return StatementView(
        seller=made.seller.handle,
        name=made.seller.name,
        month=made.month,
        is_final=made.is_final,
        sections=[
            SectionView(
                legal_entity=section.legal_entity,
                currency=section.currency,
                opening=_standing_view(section.opening),
                lines=[
                    LineView(line=one.line, count=one.count, amount=to_json(one.amount)) for one in section.totals()
                ],
                closing=_standing_view(section.closing),
            )
            for section in made.sections
        ],
    )


def _sale(flows: Sequence[Flow]) -> Sale:
    some = flows[0]
    return Sale(
        day=some.day,
        title=some.title,
        name=some.name,
        currency=some.currency,
        purchases=_count(flows, "sale"),
        refunds=_count(flows, "refund") + _count(flows, "dispute"),
        gross=to_json(-_sum(flows, "paid")),
        fee=to_json(_sum(flows, "fee")),
        others=to_json(_sum(flows, "others")),
        net=to_json(_sum(flows, "own") + _sum(flows, "external")),
    )


def _entries(flows: Iterable[Flow]) -> list[Entry]:
    found: dict[tuple[int, str, str], Entry] = {}
    for flow in flows:
        for line, amount in _lines(flow):
            key = (LINES.index(line), flow.name or "", flow.title or "")
            one = found.get(key)
            count = flow.txns if line in SOLD.values() else 0
            found[key] = Entry(
                line=line,
                title=flow.title,
                name=flow.name,
                count=count + (one.count if one else 0),
                amount=amount + (one.amount if one else 0),
            )
    return [entry for _, entry in sorted(found.items()) if entry.amount]


def _lines(flow: Flow) -> list[tuple[LineName, int]]:
    """What a flow adds to which lines. Of a movement all of them add up to what it did to the seller's own accounts."""
    if flow.kind not in SOLD:
        # What only moves among the seller's accounts, such as a settlement, adds up to nothing.
        return [("payouts" if flow.kind == "payout" else "other", flow.amount)] if flow.side == "own" else []
    if not flow.is_own:
        lines: dict[Side, list[LineName]] = {"own": ["shares"], "external": ["shares", "external"]}
        return [(line, -flow.amount if line == "external" else flow.amount) for line in lines.get(flow.side, [])]
    names: dict[Side, LineName] = {
        "paid": SOLD[flow.kind],
        "fee": "fees",
        "others": "partner_shares",
        "external": "external",
    }
    return [(names[flow.side], -flow.amount)] if flow.side in names else []


def _standing(sums: Sequence[AccountSum], when: Literal["opening", "closing"]) -> Standing:
    return Standing(**{STANDING[one.kind]: getattr(one, when) for one in sums})


def _standing_view(standing: Standing) -> StandingView:
    parts = {name: to_json(getattr(standing, name)) for name in STANDING.values()}
    return StandingView(total=to_json(standing.total), **parts)


def _sum(flows: Iterable[Flow], side: Side) -> int:
    return sum(flow.amount for flow in flows if flow.side == side)


def _count(flows: Iterable[Flow], kind: str) -> int:
    return sum(flow.txns for flow in flows if flow.kind == kind and flow.side == "paid")


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
