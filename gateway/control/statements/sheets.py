"""Statements and reports as CSV (RFC 4180) that a spreadsheet may open: no text in it is a formula. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from gateway.control.cells import safe
from gateway.control.statements.model import STANDING, Section, Standing, Statement
from gateway.control.statements.platform import Report, ReportLine
from shared.money import Money

#: By this a spreadsheet knows UTF-8.
BOM = "\ufeff"
STATEMENT = ("seller", "month", "legal_entity", "currency", "line", "title", "name", "count", "amount")
#: Columns of a report's line that are no amounts.
PLAIN = {"legal_entity", "currency", "purchases"}


def statement(made: Statement) -> bytes:
    """A seller's month. All amounts between the opening and the closing balance add up to what lies between them."""
    rows = (
        (made.seller.handle, made.month, section.legal_entity, section.currency, *cells)
        for section in made.sections
        for cells in _section(section)
    )
    return _sheet([STATEMENT, *rows])


def report(made: Report) -> bytes:
    """The platform's month."""
    names = ReportLine.__struct_fields__
    rows = [(made.month, *(_cell(one, name) for name in names)) for one in made.items]
    return _sheet([("month", *names), *rows])


def amount(minor: int, currency: str) -> str:
    """An amount in units of its currency, with all its decimals: 450 in USD is 4.50."""
    return str(Money(minor, currency)).partition(" ")[0]


def _section(section: Section) -> Iterable[tuple[str, ...]]:
    yield "opening_balance", "", "", "", amount(section.opening.total, section.currency)
    for one in section.entries:
        count = str(one.count) if one.count else ""
        yield one.line, one.title or "", one.name or "", count, amount(one.amount, section.currency)
    yield "closing_balance", "", "", "", amount(section.closing.total, section.currency)
    yield from _parts(section.closing, section.currency)


def _parts(standing: Standing, currency: str) -> Iterable[tuple[str, ...]]:
    for name in STANDING.values():
        if part := getattr(standing, name):
            yield f"of_closing_{name}", "", "", "", amount(part, currency)


def _cell(line: ReportLine, name: str) -> str:
    value = getattr(line, name)
    return str(value) if name in PLAIN else amount(int(value), line.currency)


def _sheet(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([_guarded(cell) for cell in row] for row in rows)
    return (BOM + text.getvalue()).encode()


def _guarded(cell: str) -> str:
    return cell if _is_number(cell) else safe(cell)


def _is_number(cell: str) -> bool:
    digits = cell.removeprefix("-").replace(".", "", 1)
    return digits.isascii() and digits.isdigit()
