"""Statements as PDF: what stands on the pages, and names in any script."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.sellers.model import Seller
from gateway.control.statements import pdf
from gateway.control.statements.model import Entry, LineName, Section, Standing, Statement
from tests.support.pdf import texts

NAMES = {"Cyrillic": "Студия", "Arabic": "استوديو الفيلم", "Japanese": "映画館", "Hebrew": "אולפן", "emoji": "🎬"}


def made(name: str = "The Long Way", titles: int = 1, company: str = "usher") -> Statement:
    """A month in which each title was sold for 1,500.00."""
    lines: list[tuple[LineName, int, int]] = [("sales", 3, 150_000), ("fees", 0, -15_000)]
    section = Section(
        legal_entity=company,
        currency="USD",
        opening=Standing(),
        entries=[
            Entry(line=line, title=f"ttl_{n}", name=name, count=count, amount=amount)
            for n in range(titles)
            for line, count, amount in lines
        ],
        closing=Standing(pending=135_000 * titles),
    )
    return Statement(seller=Seller("slr_1", name, "studio"), month="2026-11", is_final=True, sections=[section])


def test_page_tells_the_balances_the_lines_and_the_titles() -> None:
    shown = texts(pdf.statement(made()))
    assert shown[:2] == ["Statement 2026-11", "The Long Way"]
    for words, amount in (("Sales of your titles", "1,500.00"), ("Platform's fees", "-150.00")):
        assert amount in shown[shown.index(words) : shown.index(words) + 3]
    assert shown[shown.index("Closing balance") + 1] == "1,350.00"
    title = shown.index("By title") + 6
    assert shown[title : title + 6] == ["The Long Way", "3", "1,500.00", "-150.00", "0.00", "1,350.00"]
    assert pdf.MISSING not in shown


def test_month_in_which_nothing_was_booked_says_so() -> None:
    empty = Statement(seller=Seller("slr_1", "Studio", "studio"), month="2026-11", is_final=False, sections=[])
    shown = texts(pdf.statement(empty))
    assert "Nothing was booked." in shown and "This month is not over: more may come." in shown


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_name_in_another_script_is_told_by_handle_and_id_and_the_page_says_so(name: str) -> None:
    shown = texts(pdf.statement(made(name)))
    assert shown[1] == "studio" and "ttl_0" in shown and pdf.MISSING in shown


def test_company_in_another_script_keeps_the_letters_that_can_be_shown() -> None:
    shown = texts(pdf.statement(made(company="Usher Студия 1")))
    assert "Usher ?????? 1, USD" in shown and pdf.MISSING in shown


@pytest.mark.parametrize(
    ("name", "told"),
    [("Šostakovič", "Šostakovic"), ("Café – “Noir”", "Café – “Noir”"), ("ﬁlm", "film"), ("(a\\b)", "(a\\b)")],
)
def test_latin_name_loses_a_mark_at_most(name: str, told: str) -> None:
    assert texts(pdf.statement(made(name)))[1] == told


def test_many_titles_fill_pages_and_the_rest_is_left_to_the_csv() -> None:
    shown = texts(pdf.statement(made(titles=pdf.TITLES + 7)))
    assert "Page 5" in shown and "and 7 more titles: the CSV has all of them." in shown
    assert sum(text.startswith("The Long Way") for text in shown) == pdf.TITLES + 1


def test_what_the_rail_paid_at_once_is_the_sellers_in_the_table_of_titles() -> None:
    lines: list[tuple[LineName, int]] = [("sales", 500), ("fees", -50), ("external", -450)]
    entries = [Entry(line=line, title="ttl_1", name="", count=0, amount=amount) for line, amount in lines]
    (one,) = pdf.by_title(entries)
    assert (one.paid, one.fees, one.yours) == (500, -50, 450)


def test_same_statement_is_the_same_bytes() -> None:
    assert pdf.statement(made()) == pdf.statement(made())


@given(st.text(max_size=80))
def test_no_name_stops_a_statement(name: str) -> None:
    assert pdf.statement(made(name)).startswith(b"%PDF-")


def test_name_that_is_too_long_is_cut() -> None:
    shown = texts(pdf.statement(made("Long " * 40)))
    assert shown[1].endswith("...") and len(shown[1]) < 120
