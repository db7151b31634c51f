"""How flows add up to a seller's sales and monthly statement. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Literal

from gateway.control.sellers.model import Seller
from gateway.control.statements.model import (
    LINES,
    MAX_TITLES,
    MOVED,
    SOLD,
    STANDING,
    AccountSum,
    By,
    Entry,
    Flow,
    LineName,
    LineView,
    Sale,
    Sales,
    Section,
    SectionView,
    Side,
    Standing,
    StandingView,
    Statement,
    StatementView,
    bounds,
)
from shared.money import to_json


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
        return [(MOVED.get(flow.kind, "other"), flow.amount)] if flow.side == "own" else []
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
