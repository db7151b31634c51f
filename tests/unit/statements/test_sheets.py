"""Statements as CSV: each row adds up, and no name becomes a formula."""

from __future__ import annotations

import csv
import io

import pytest

from gateway.control.sellers.model import Seller
from gateway.control.statements import platform, sheets
from gateway.control.statements.model import Entry, Section, Standing, Statement
from gateway.control.statements.platform import Trial, Turnover


def made(name: str = "The Long Way", currency: str = "USD") -> Statement:
    """A month of one sale of 5.00."""
    section = Section(
        legal_entity="usher",
        currency=currency,
        opening=Standing(available=200, owed=-50),
        entries=[
            Entry(line="sales", title="ttl_1", name=name, count=1, amount=500),
            Entry(line="fees", title="ttl_1", name=name, count=0, amount=-50),
            Entry(line="payouts", title=None, name=None, count=0, amount=-100),
        ],
        closing=Standing(pending=450, available=100, owed=-50),
    )
    return Statement(seller=Seller("slr_1", "Studio", "studio"), month="2026-11", is_final=True, sections=[section])


def read(sheet: bytes) -> list[dict[str, str]]:
    """Its rows, as a spreadsheet reads them."""
    return list(csv.DictReader(io.StringIO(sheet.decode("utf-8-sig"), newline="")))


def test_rows_lead_from_the_opening_to_the_closing_balance() -> None:
    rows = read(sheets.statement(made()))
    assert [(row["line"], row["title"], row["count"], row["amount"]) for row in rows] == [
        ("opening_balance", "", "", "1.50"),
        ("sales", "ttl_1", "1", "5.00"),
        ("fees", "ttl_1", "", "-0.50"),
        ("payouts", "", "", "-1.00"),
        ("closing_balance", "", "", "5.00"),
        ("of_closing_pending", "", "", "4.50"),
        ("of_closing_available", "", "", "1.00"),
        ("of_closing_owed", "", "", "-0.50"),
    ]
    assert {(row["seller"], row["month"], row["legal_entity"], row["currency"]) for row in rows} == {
        ("studio", "2026-11", "usher", "USD")
    }


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "500"), ("KWD", "0.500"), ("USDC", "0.000500")])
def test_amounts_have_the_decimals_of_their_currency(currency: str, amount: str) -> None:
    assert read(sheets.statement(made(currency=currency)))[1]["amount"] == amount


@pytest.mark.parametrize(
    "name",
    ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", " =1", "\r=1", "＝1", '=HYPERLINK("//x","y")', "-"],
)
def test_name_that_looks_like_a_formula_stands_behind_an_apostrophe(name: str) -> None:
    assert read(sheets.statement(made(name)))[1]["name"] == f"'{name}"


@pytest.mark.parametrize("name", ["The Long Way", 'A "quoted", title', "Студия", "映画館", "2 = 1 + 1", "a\nb", "1984"])
def test_other_names_are_kept_as_they_are(name: str) -> None:
    assert read(sheets.statement(made(name)))[1]["name"] == name


def test_report_is_a_row_a_company_and_currency() -> None:
    key = {"legal_entity": "=usher", "currency": "USD"}
    turnover = [
        Turnover(**key, kind="sale", account="wallet", is_sold=True, is_gain=False, txns=1, amount=-500),
        Turnover(**key, kind="sale", account="platform_fee", is_sold=True, is_gain=True, txns=1, amount=50),
    ]
    trial = [
        Trial(**key, account="wallet", opening=0, closing=-500, now=-500),
        Trial(**key, account="platform_fee", opening=0, closing=50, now=50),
        Trial(**key, account="earnings", opening=0, closing=450, now=450),
    ]
    made = platform.report("2026-11", is_final=True, turnover=turnover, trial=trial, kept=[])
    (row,) = read(sheets.report(made))
    assert (row["legal_entity"], row["purchases"], row["gross"], row["fees"], row["held"]) == (
        "'=usher", "1", "5.00", "0.50", "4.50"
    )  # fmt: skip
    assert not made.is_balanced and [one.difference for one in made.checks] == [-450]
