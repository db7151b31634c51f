"""A seller's statement as PDF, A4: what it began with, came, went and is left, and the titles it came of.

The fonts are those every reader has, which hold the letters of Western Europe. Of other Latin letters the marks are
left out; a name in another script is told by the handle or id of what it names, and the page says so.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterable, Sequence

import msgspec
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from gateway.control.statements import sheets
from gateway.control.statements.model import SOLD, Entry, LineName, Section, Statement

FONT, BOLD, SIZE = "Helvetica", "Helvetica-Bold", 9.0
LEFT, RIGHT, TOP, BOTTOM, ROW = 50.0, A4[0] - 50.0, A4[1] - 60.0, 60.0, 15.0
#: Titles that are listed; all of them stand in the CSV.
TITLES = 200
#: Right edges of a section's columns: count, amount; and of its titles': purchases, paid, fees, partners, yours.
COLUMNS = (RIGHT - 110, RIGHT)
TITLE_COLUMNS = (RIGHT - 300, RIGHT - 225, RIGHT - 150, RIGHT - 75, RIGHT)
WORDS: dict[LineName, str] = {
    "sales": "Sales of your titles",
    "refunds": "Refunds",
    "chargebacks": "Chargebacks",
    "chargebacks_won": "Chargebacks that were won",
    "fees": "Platform's fees",
    "partner_shares": "Shares of your partners",
    "shares": "Your shares of partners' titles",
    "external": "Paid to you at once by the payment provider",
    "payouts": "Paid out to you",
    "other": "Other movements",
}
MISSING = "Names in letters that this page cannot show are told by an id or by ?; the CSV has those of titles."


class TitleSum(msgspec.Struct, frozen=True, kw_only=True):
    """One title of a section. `yours` is what the seller got of it, also what a rail paid at once."""

    name: str
    purchases: int
    paid: int
    fees: int
    partners: int
    yours: int


class Paper:
    """Pages that are written from the top down."""

    def __init__(self, title: str) -> None:
        self._file = io.BytesIO()
        # Without the time of its making: the same statement is the same bytes.
        self._canvas = Canvas(self._file, pagesize=A4, invariant=True, pageCompression=1)
        self._canvas.setTitle(title)
        self._title, self._page, self._y = title, 1, TOP

    def row(
        self,
        text: str,
        cells: Sequence[str] = (),
        edges: Sequence[float] = (),
        *,
        bold: bool = False,
        size: float = SIZE,
    ) -> None:
        """One row: a text on the left, and cells that end at their edges."""
        if self._y < BOTTOM:
            self._turn()
        font = BOLD if bold else FONT
        self._canvas.setFont(font, size)
        widest = min(
            (edge - stringWidth(cell, font, size) for cell, edge in zip(cells, edges, strict=True)), default=RIGHT
        )
        self._canvas.drawString(LEFT, self._y, _cut(text, widest - LEFT - 6, font=font, size=size))
        for cell, edge in zip(cells, edges, strict=True):
            self._canvas.drawRightString(edge, self._y, cell)
        self._y -= ROW * size / SIZE

    def line(self) -> None:
        """A line across the page, above what comes next."""
        self._canvas.setLineWidth(0.5)
        self._canvas.line(LEFT, self._y + ROW * 0.75, RIGHT, self._y + ROW * 0.75)

    def gap(self) -> None:
        """An empty row."""
        self._y -= ROW

    def bytes(self) -> bytes:
        """The document."""
        self._foot()
        self._canvas.save()
        return self._file.getvalue()

    def _turn(self) -> None:
        self._foot()
        self._canvas.showPage()
        self._page, self._y = self._page + 1, TOP

    def _foot(self) -> None:
        self._canvas.setFont(FONT, SIZE - 1)
        self._canvas.drawString(LEFT, BOTTOM - 25, self._title)
        self._canvas.drawRightString(RIGHT, BOTTOM - 25, f"Page {self._page}")


def statement(made: Statement) -> bytes:
    """A seller's month. Takes milliseconds a page, without any I/O."""
    paper = Paper(f"Statement {made.month} {made.seller.handle}")
    paper.row(f"Statement {made.month}", bold=True, size=16)
    paper.row(letters(made.seller.name) or made.seller.handle, (f"seller {made.seller.handle}",), (RIGHT,), size=11)
    paper.row("All that was booked in this month (UTC)." if made.is_final else "This month is not over: more may come.")
    if not made.sections:
        paper.gap()
        paper.row("Nothing was booked.")
    for section in made.sections:
        _section(paper, section)
    names = [made.seller.name, *(section.legal_entity for section in made.sections)]
    names += [entry.name or "" for section in made.sections for entry in section.entries]
    if any(letters(name) is None for name in names):
        paper.gap()
        paper.row(MISSING)
    return paper.bytes()


def letters(text: str) -> str | None:
    """A text in letters that the fonts have, marks left out where they must be; None where letters are missing."""
    found = ""
    for letter in unicodedata.normalize("NFC", text):
        if not _has(letter):
            letter = "".join(one for one in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(one))
        if not all(_has(one) for one in letter):
            return None
        found += letter
    return found


def _section(paper: Paper, section: Section) -> None:
    paper.gap()
    company = "".join(letters(letter) or "?" for letter in section.legal_entity)
    paper.row(f"{company}, {section.currency}", bold=True, size=11)
    _balance(paper, "Opening balance", _amount(section.opening.total, section.currency))
    for one in section.totals():
        count = str(one.count) if one.count else ""
        paper.row(WORDS[one.line], (count, _amount(one.amount, section.currency)), COLUMNS)
    paper.line()
    closing = section.closing
    _balance(paper, "Closing balance", _amount(closing.total, section.currency))
    parts = {"pending": closing.pending, "available": closing.available, "on its way": closing.in_transit}
    for words, amount in {**parts, "owed": closing.owed}.items():
        if amount:
            paper.row(f"    of it {words}", (_amount(amount, section.currency),), COLUMNS[1:])
    titles = by_title(section.entries)
    if titles:
        paper.gap()
        paper.row("By title", ("purchases", "paid", "fees", "partners", "yours"), TITLE_COLUMNS, bold=True)
    for title in titles[:TITLES]:
        amounts = (title.paid, title.fees, title.partners, title.yours)
        cells = (str(title.purchases), *(_amount(one, section.currency) for one in amounts))
        paper.row(title.name, cells, TITLE_COLUMNS)
    if len(titles) > TITLES:
        paper.row(f"and {len(titles) - TITLES} more titles: the CSV has all of them.")


def by_title(entries: Iterable[Entry]) -> list[TitleSum]:
    """What came of each title, the largest first."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.title:
            found.setdefault(entry.title, []).append(entry)
    sums = [_title_sum(title, some) for title, some in found.items()]
    return sorted(sums, key=lambda one: (-one.paid, -one.yours, one.name))


def _title_sum(title: str, entries: Sequence[Entry]) -> TitleSum:
    def of(*lines: LineName) -> int:
        return sum(entry.amount for entry in entries if entry.line in lines)

    return TitleSum(
        name=letters(entries[0].name or "") or title,
        purchases=sum(entry.count for entry in entries if entry.line == "sales"),
        paid=of(*SOLD.values()),
        fees=of("fees"),
        partners=of("partner_shares"),
        yours=sum(entry.amount for entry in entries) - of("external"),
    )


def _balance(paper: Paper, words: str, amount: str) -> None:
    paper.row(words, (amount,), COLUMNS[1:], bold=True)


def _amount(minor: int, currency: str) -> str:
    """1,234.50: an amount with its thousands told apart."""
    whole, point, rest = sheets.amount(minor, currency).partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}{point}{rest}"


def _cut(text: str, width: float, *, font: str, size: float) -> str:
    """A text, its end left out where it is wider than there is room."""
    if stringWidth(text, font, size) <= width:
        return text
    while text and stringWidth(f"{text}...", font, size) > width:
        text = text[:-1]
    return f"{text}..."


def _has(letter: str) -> bool:
    try:
        return letter.encode("cp1252") != b"" and not unicodedata.category(letter).startswith("C")
    except UnicodeEncodeError:
        return False
