"""Cells of CSV (RFC 4180) that a spreadsheet may open: no text in one is a formula. Pure."""

from __future__ import annotations

#: What makes a cell a formula, also in the full width that some spreadsheets fold, and what they skip before it.
FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def safe(text: str) -> str:
    """A text that no spreadsheet takes for a formula: one that looks like it stands behind an apostrophe."""
    return f"'{text}" if text.startswith(FORMULA) or text.lstrip().startswith(FORMULA) else text
