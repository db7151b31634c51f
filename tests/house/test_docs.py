"""Documents made from the code are what the code says now; links lead somewhere."""

from __future__ import annotations

import re

import pytest

from infra import reference
from tests.house.tree import ROOT, tracked

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_generated_page_is_current(name: str) -> None:
    assert (ROOT / name).read_text() == reference.PAGES[name](), "run `usher docs` and commit"


@pytest.mark.parametrize("name", ["README.md", "infra/compose.yaml", "infra/Dockerfile"])
def test_every_variable_told_of_is_among_the_settings(name: str) -> None:
    told = set(re.findall(r"\b(?:USHER_[A-Z0-9_]+|MASTER)\b(?==|`)|\bUSHER_[A-Z0-9_]+(?=:)", (ROOT / name).read_text()))
    page = (ROOT / "docs/reference/settings.md").read_text()
    assert told and {word for word in told if f"`{word}`" not in page} == set()


def test_every_picture_is_shown() -> None:
    shown = {(page.parent / target).as_posix() for page in tracked() if page.suffix == ".md"
             for target in LINK.findall((ROOT / page).read_text())}  # fmt: skip
    assert {path.as_posix() for path in tracked() if path.parts[:2] == ("docs", "images")} - shown == set()


def test_every_relative_link_leads_to_a_file() -> None:
    pages = [path for path in tracked() if path.suffix == ".md"]
    dead = [
        f"{page}: {target}"
        for page in pages
        for target in LINK.findall((ROOT / page).read_text())
        if "://" not in target and not (ROOT / page.parent / target).exists()
    ]
    assert dead == []


def test_readme_is_short_and_starts_with_a_picture() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    assert any(line.startswith("![") for line in lines[:6])
