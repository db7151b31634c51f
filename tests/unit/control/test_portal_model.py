"""The portal as values: plain text becomes paragraphs and never markup."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.control.portal.model import paragraphs


def test_text_becomes_paragraphs_at_empty_lines() -> None:
    assert paragraphs("One\nline\r\n\r\n \n\nTwo") == "<p>One<br>line</p><p>Two</p>"
    assert paragraphs("") == paragraphs(" \n\n ") == ""


@given(st.text())
def test_text_never_becomes_markup(text: str) -> None:
    assert re.findall(r"<[^>]*>", paragraphs(text)) == re.findall(r"</?p>|<br>", paragraphs(text))
    assert '"' not in paragraphs(text)
